// Draws random stretches of scanlines by the published function and by ours (patches.rs compiles and runs this).
// Prints every difference; the exit status is 0 if there is none.

#include "standard_headers.hpp"

// The functions and what they draw are private.
#define private public
#define protected public
#include "ale/emucore/TIA.cxx"
#undef private
#undef protected

#include "ale/ale_interface.hpp"

using namespace ale::stella;

namespace {

constexpr long TRIALS = 500000;

struct Picture {
  std::vector<uint8_t> pixels;
  uint16_t collisions;
  long advanced;

  bool operator==(const Picture& other) const {
    return pixels == other.pixels && collisions == other.collisions && advanced == other.advanced;
  }
};

class Trials {
 public:
  explicit Trials(TIA& tia) : tia_(tia) {}

  long differing() {
    long count = 0;
    for (long trial = 0; trial < TRIALS; ++trial) {
      scatter_objects();
      const uint32_t first = below(4) ? below(160) : below(40) * 4;
      const uint32_t clocks = below(3) ? 1 + below(160 - first) : 160 - first;
      const uint16_t collisions = below(0x8000);
      uint8_t* start = tia_.myCurrentFrameBuffer + 160 * (1 + below(200)) + first;
      const Picture published =
          draw(&TIA::updateFrameScanline, start, clocks, first, collisions);
      if (!(draw(&TIA::drawScanline, start, clocks, first, collisions) == published)) {
        ++count;
        std::printf("objects %02x, mode %02x, %u clocks from %u\n", tia_.myEnabledObjects,
                    tia_.myPlayfieldPriorityAndScore, clocks, first);
      }
    }
    return count;
  }

 private:
  using Function = void (TIA::*)(uint32_t clocks, uint32_t first);

  Picture draw(Function function, uint8_t* start, uint32_t clocks, uint32_t first,
               uint16_t collisions) {
    std::memset(start, 0xee, clocks);
    tia_.myCollision = collisions;
    tia_.myFramePointer = start;
    (tia_.*function)(clocks, first);
    return {{start, start + clocks}, tia_.myCollision, tia_.myFramePointer - start};
  }

  // Any state in which the emulator can be: an object's bit is set only if there is something to draw.
  void scatter_objects() {
    const auto at = [](uint32_t position) { return 160 - (position & 0xfc); };
    uint32_t x = below(160);
    tia_.myCurrentP0Mask = &TIA::ourPlayerMaskTable[x & 3][below(2)][below(8)][at(x)];
    x = below(160);
    tia_.myCurrentP1Mask = &TIA::ourPlayerMaskTable[x & 3][below(2)][below(8)][at(x)];
    x = below(160);
    tia_.myCurrentM0Mask = below(10) ? &TIA::ourMissleMaskTable[x & 3][below(8)][below(4)][at(x)]
                                     : &TIA::ourDisabledMaskTable[0];
    x = below(160);
    tia_.myCurrentM1Mask = &TIA::ourMissleMaskTable[x & 3][below(8)][below(4)][at(x)];
    x = below(160);
    tia_.myCurrentBLMask = &TIA::ourBallMaskTable[x & 3][below(4)][at(x)];
    tia_.myCurrentPFMask = TIA::ourPlayfieldTable[below(2)];
    tia_.myCurrentGRP0 = below(2) ? below(256) : 0;
    tia_.myCurrentGRP1 = below(2) ? below(256) : 0;
    tia_.myPF = below(2) ? below(1 << 20) : 0;
    tia_.myEnabledObjects = (tia_.myCurrentGRP0 ? TIA::myP0Bit : 0) |
        (tia_.myCurrentGRP1 ? TIA::myP1Bit : 0) | (below(2) ? TIA::myM0Bit : 0) |
        (below(2) ? TIA::myM1Bit : 0) | (below(2) ? TIA::myBLBit : 0) |
        (tia_.myPF ? TIA::myPFBit : 0);
    tia_.myPlayfieldPriorityAndScore = below(4) * TIA::ScoreBit;
    tia_.myVBLANK = below(50) ? 0 : 2;
    for (uint32_t& colour : tia_.myColor) colour = below(128) * 2 * 0x01010101u;
  }

  uint32_t below(uint32_t count) { return random_() % count; }

  TIA& tia_;
  std::mt19937 random_{1};
};

}  // namespace

int main(int, char** arguments) {
  ale::Logger::setMode(ale::Logger::Error);
  ale::ALEInterface emulator;
  emulator.loadROM(arguments[1]);
  MediaSource& screen = emulator.theOSystem->console().mediaSource();
  return Trials(static_cast<TIA&>(screen)).differing() == 0 ? 0 : 1;
}
