// Executes loops that wait for the timer at one go, where rounds are skipped, and one instruction at a time, where they
// cannot be (patches.rs compiles and runs this). Prints every difference; the exit status is 0 if there is none.

#include "standard_headers.hpp"

// The state of the processor and of the timer is private.
#define private public
#define protected public
#include "ale/emucore/M6502Low.hxx"
#include "ale/emucore/M6532.hxx"
#include "ale/emucore/System.hxx"
#undef private
#undef protected

#include "ale/ale_interface.hpp"
#include "ale/emucore/Console.hxx"

using namespace ale::stella;

namespace {

constexpr long TRIALS = 20000;

// Loops that games have, and neighbours of theirs that must not be skipped.
constexpr uint8_t READS[] = {0xad, 0xae, 0xac, 0x2c, 0xaf, 0xcd};    // LDA, LDX, LDY, BIT, LAX, CMP
constexpr uint8_t BRANCHES[] = {0xd0, 0x30, 0x10, 0xf0, 0xb0, 0x50};  // BNE, BMI, BPL, BEQ, BCS, BVC
constexpr uint32_t SHIFTS[] = {0, 3, 6, 10};
constexpr uint16_t TIMERS[] = {0x0284, 0x0285, 0x0286, 0x0287, 0x0282, 0x0e84};

class Trials {
 public:
  Trials(System& system, M6532& riot)
      : system_(system), cpu_(static_cast<M6502Low&>(system.m6502())), riot_(riot) {}

  // Instructions skipped: without any, nothing is compared.
  long skipped() const { return skipped_; }

  long differing() {
    long count = 0;
    for (long trial = 0; trial < TRIALS; ++trial) {
      const uint8_t read = any(READS), branch = any(BRANCHES);
      const uint16_t timer = any(TIMERS);
      const uint32_t start = random_();
      const uint32_t instructions = 1 + below(below(2) ? 40 : 3000);

      const uint16_t after_read = prepare(read, branch, timer, start);
      if ((timer & 0x1284) == 0x0284)
        skipped_ += cpu_.skipTimerLoop(read, after_read, timer, instructions);

      prepare(read, branch, timer, start);
      cpu_.execute(instructions);
      const auto at_once = state();
      prepare(read, branch, timer, start);
      for (uint32_t i = 0; i < instructions; ++i) cpu_.execute(1);
      if (at_once != state()) {
        ++count;
        std::printf("%02x %04x, %02x: %u instructions from %08x\n", read, timer, branch,
                    instructions, start);
      }
    }
    return count;
  }

 private:
  // Puts the loop into the cartridge, within a page or across two of either kind: those that the
  // emulator looks up and those that cost a branch a cycle. A loop on the spot follows it.
  // Returns the address of the branch.
  uint16_t prepare(uint8_t read, uint8_t branch, uint16_t timer, uint32_t start) {
    std::mt19937 random(start);
    const auto below = [&random](uint32_t count) { return random() % count; };
    const uint8_t offset = below(8) ? 0xfb : 0xfa;
    const uint16_t first = 0x10c0 + below(0x60), spot = first + 6;
    const uint8_t code[] = {0xea,   read, uint8_t(timer), uint8_t(timer >> 8), branch,
                            offset, 0x4c, uint8_t(spot),  uint8_t(spot >> 8)};
    for (uint16_t i = 0; i < sizeof(code); ++i) cartridge(first + i) = code[i];

    system_.myCycles = 20000 + below(1000);
    system_.myDataBusState = below(256);
    riot_.myIntervalShift = SHIFTS[below(4)];
    riot_.myTimer = below(256);
    riot_.myCyclesWhenTimerSet = system_.myCycles - below(2000);
    riot_.myTimerReadAfterInterrupt = below(2);
    riot_.myCyclesWhenInterruptReset = riot_.myCyclesWhenTimerSet;
    cpu_.PC = first + 1;
    cpu_.A = below(256), cpu_.X = below(256), cpu_.Y = below(256), cpu_.SP = 0xff;
    cpu_.PS(below(256) & ~0x08);
    cpu_.myExecutionStatus = 0;
    return first + 4;
  }

  using State = std::tuple<uint16_t, uint8_t, uint8_t, uint8_t, uint8_t, uint8_t, uint8_t, uint32_t,
                           uint8_t, bool, uint32_t>;

  State state() const {
    return {cpu_.PC, cpu_.A, cpu_.X, cpu_.Y, cpu_.SP, cpu_.IR, cpu_.PS(), system_.myCycles,
            system_.myDataBusState, riot_.myTimerReadAfterInterrupt,
            riot_.myCyclesWhenInterruptReset};
  }

  uint8_t& cartridge(uint16_t address) {
    const auto& page = system_.myPageAccessTable[(address & System::myAddressMask) >> System::myPageSize];
    return page.directPeekBase[address & System::myPageMask];
  }

  template <typename T, size_t N>
  T any(const T (&values)[N]) { return values[below(N)]; }
  uint32_t below(uint32_t count) { return random_() % count; }

  System& system_;
  M6502Low& cpu_;
  M6532& riot_;
  std::mt19937 random_{1};
  long skipped_ = 0;
};

}  // namespace

int main(int, char** arguments) {
  ale::Logger::setMode(ale::Logger::Error);
  ale::ALEInterface emulator;
  emulator.loadROM(arguments[1]);
  System& system = emulator.theOSystem->console().system();
  M6532* riot = nullptr;
  for (uint32_t i = 0; i < system.myNumberOfDevices && !riot; ++i)
    riot = dynamic_cast<M6532*>(system.myDevices[i]);
  if (!riot) return std::puts("no timer"), 1;

  Trials trials(system, *riot);
  if (trials.differing() > 0) return 1;
  if (trials.skipped() == 0) return std::puts("nothing was skipped"), 1;
  return 0;
}
