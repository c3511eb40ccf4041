#include "coordrl-envs/src/atari/shim.hpp"

#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/common/ColourPalette.hpp"
#include "ale/emucore/CartAR.hxx"
#include "ale/emucore/CartDPC.hxx"
#include "ale/emucore/CartMC.hxx"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/Event.hxx"
#include "ale/emucore/M6502.hxx"
#include "ale/emucore/MD5.hxx"
#include "ale/emucore/Props.hxx"
#include "ale/emucore/Serializer.hxx"
#include "ale/emucore/Switches.hxx"
#include "ale/emucore/System.hxx"
#include "ale/emucore/TIA.hxx"
#include "ale/games/Roms.hpp"
#include "ale/games/supported/Atlantis2.hpp"
#include "ale/games/supported/ChopperCommand.hpp"
#include "ale/games/supported/DemonAttack.hpp"
#include "ale/games/supported/Hangman.hpp"
#include "ale/games/supported/MiniatureGolf.hpp"
#include "ale/games/supported/RiverRaid.hpp"
#include "ale/games/supported/VideoCheckers.hpp"
#include "ale/games/supported/VideoCube.hpp"

namespace coordrl {
namespace {

using ale::ALEInterface;
using ale::stella::TIA;

// Both of the TIA's frame buffers are allocated at this size.
constexpr std::size_t kFrameBufferBytes = 160 * 300;

// ALE throws C strings from its serialiser; only std::exception crosses to Rust as an error.
template <typename Run>
auto translated(Run run) -> decltype(run()) {
  try {
    return run();
  } catch (const char* message) {
    throw std::runtime_error(message);
  }
}

// ---------------------------------------------------------------------------------------------
// Save and restore share one walk over the members: with `Writer` it appends them to a byte
// vector, with `Reader` it sets them from one. Bytes are in the machine's own order.

class Writer {
 public:
  static constexpr bool kLoads = false;
  rust::Vec<std::uint8_t> bytes;

  void raw(void* data, std::size_t size) {
    auto* first = static_cast<std::uint8_t*>(data);
    bytes.reserve(bytes.size() + size);
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(first[i]);
  }
};

class Reader {
 public:
  static constexpr bool kLoads = true;
  explicit Reader(rust::Slice<const std::uint8_t> bytes) : left_(bytes) {}

  void raw(void* data, std::size_t size) {
    if (size > left_.size()) throw std::runtime_error("the emulator's state is cut short");
    std::memcpy(data, left_.data(), size);
    left_ = {left_.data() + size, left_.size() - size};
  }

  void expect_end() const {
    if (left_.size() != 0) throw std::runtime_error("the emulator's state is too long");
  }

 private:
  rust::Slice<const std::uint8_t> left_;
};

template <typename Archive, typename T>
void walk(Archive& archive, T& value) {
  static_assert(std::is_trivially_copyable<T>::value && !std::is_pointer<T>::value,
                "only plain values can be saved as bytes");
  archive.raw(&value, sizeof value);
}

template <typename Archive>
void walk_string(Archive& archive, std::string& text) {
  std::uint64_t size = text.size();
  walk(archive, size);
  if (Archive::kLoads) {
    if (size > (1u << 24)) throw std::runtime_error("the emulator's state has an impossible length");
    text.resize(size);
  }
  archive.raw(&text[0], size);
}

// A pointer into one of several static tables is saved as (table, offset).
template <typename Archive, typename T>
void walk_pointer(Archive& archive, const T*& pointer,
                  std::initializer_list<std::pair<const T*, std::size_t>> tables) {
  std::uint32_t table = 0, offset = 0;
  if (!Archive::kLoads) {
    for (const auto& [first, count] : tables) {
      if (pointer >= first && pointer < first + count) break;
      ++table;
    }
    if (table == tables.size()) throw std::runtime_error("a TIA mask points outside its tables");
    offset = static_cast<std::uint32_t>(pointer - tables.begin()[table].first);
  }
  walk(archive, table);
  walk(archive, offset);
  if (Archive::kLoads) {
    if (table >= tables.size() || offset >= tables.begin()[table].second)
      throw std::runtime_error("a TIA mask would point outside its tables");
    pointer = tables.begin()[table].first + offset;
  }
}

template <typename T>
std::pair<const std::remove_all_extents_t<T>*, std::size_t> table_of(const T& table) {
  using Element = std::remove_all_extents_t<T>;
  return {reinterpret_cast<const Element*>(&table), sizeof table / sizeof(Element)};
}

// The TIA draws a screen over several calls when a game misses its vertical sync; ALE saves none
// of what such a half-drawn frame needs.
template <typename Archive>
void walk_tia(Archive& archive, TIA& tia) {
  walk(archive, tia.myPartialFrameFlag);
  walk(archive, tia.myFrameGreyed);
  walk(archive, tia.myFrameCounter);
  std::uint32_t drawn = static_cast<std::uint32_t>(tia.myFramePointer - tia.myCurrentFrameBuffer);
  walk(archive, drawn);
  if (Archive::kLoads) {
    if (drawn > kFrameBufferBytes) throw std::runtime_error("the TIA would draw outside its frame");
    tia.myFramePointer = tia.myCurrentFrameBuffer + drawn;
  }
  archive.raw(tia.myCurrentFrameBuffer, kFrameBufferBytes);
  archive.raw(tia.myPreviousFrameBuffer, kFrameBufferBytes);
  const auto disabled = table_of(TIA::ourDisabledMaskTable);
  walk_pointer(archive, tia.myCurrentBLMask, {table_of(TIA::ourBallMaskTable), disabled});
  walk_pointer(archive, tia.myCurrentM0Mask, {table_of(TIA::ourMissleMaskTable), disabled});
  walk_pointer(archive, tia.myCurrentM1Mask, {table_of(TIA::ourMissleMaskTable), disabled});
  walk_pointer(archive, tia.myCurrentP0Mask, {table_of(TIA::ourPlayerMaskTable), disabled});
  walk_pointer(archive, tia.myCurrentP1Mask, {table_of(TIA::ourPlayerMaskTable), disabled});
  walk_pointer(archive, tia.myCurrentPFMask, {table_of(TIA::ourPlayfieldTable)});
}

// Members of cartridges that ALE does not save, or saves rounded.
template <typename Archive>
void walk_cartridge(Archive& archive, ale::stella::System& system) {
  for (std::uint32_t i = 0; i < system.myNumberOfDevices; ++i) {
    auto* device = system.myDevices[i];
    if (auto* dpc = dynamic_cast<ale::stella::CartridgeDPC*>(device)) {
      walk(archive, dpc->myFractionalClocks);
    } else if (auto* ar = dynamic_cast<ale::stella::CartridgeAR*>(device)) {
      walk(archive, ar->myCurrentBank);
    } else if (auto* mc = dynamic_cast<ale::stella::CartridgeMC*>(device)) {
      walk(archive, mc->mySlot3Locked);
    }
  }
}

// Members of ALE's per-game settings that their own saveState forgets, or (Miniature Golf) writes as
// truth values and reads back as numbers.
template <typename Archive>
void walk_game_settings(Archive& archive, ale::RomSettings& settings) {
  if (auto* game = dynamic_cast<ale::Atlantis2Settings*>(&settings)) {
    walk(archive, game->m_lives);
  } else if (auto* game = dynamic_cast<ale::ChopperCommandSettings*>(&settings)) {
    walk(archive, game->m_is_started);
  } else if (auto* game = dynamic_cast<ale::DemonAttackSettings*>(&settings)) {
    walk(archive, game->m_level_change);
  } else if (auto* game = dynamic_cast<ale::HangmanSettings*>(&settings)) {
    walk(archive, game->m_timerArray);
  } else if (auto* game = dynamic_cast<ale::MiniatureGolfSettings*>(&settings)) {
    walk(archive, game->m_levelNumber);
    walk(archive, game->m_levelPar);
    walk(archive, game->m_hits);
    walk(archive, game->m_leftStatus);
    walk(archive, game->m_hitsAtStartOfLevel);
  } else if (auto* game = dynamic_cast<ale::RiverRaidSettings*>(&settings)) {
    walk(archive, game->m_lives);
  } else if (auto* game = dynamic_cast<ale::VideoCheckersSettings*>(&settings)) {
    walk(archive, game->m_reverse_checkers);
  } else if (auto* game = dynamic_cast<ale::VideoCubeSettings*>(&settings)) {
    walk(archive, game->m_timerArray);
  }
}

// What lies outside ALE's own saved state. Runs after ALE's part has been restored, because
// restoring peeks at memory and so changes the data bus.
template <typename Archive>
void walk_rest(Archive& archive, ALEInterface& ale) {
  auto& environment = *ale.environment;
  auto& console = ale.theOSystem->console();
  auto& system = console.system();
  walk_tia(archive, *system.myTIA);
  walk_cartridge(archive, system);
  walk_game_settings(archive, *ale.romSettings);
  archive.raw(ale.theOSystem->event()->myValues, sizeof ale.theOSystem->event()->myValues);
  walk(archive, console.mySwitches->mySwitches);
  walk(archive, system.m6502().myLastAccessWasRead);
  walk(archive, system.myDataBusState);
  walk(archive, system.myDataBusLocked);
  walk(archive, environment.m_player_a_action);
  walk(archive, environment.m_player_b_action);
  walk(archive, environment.m_paddle_a_strength);
  walk(archive, environment.m_paddle_b_strength);
  archive.raw(environment.m_screen.getArray(), environment.m_screen.arraySize());
}

// ALE ignores what its own loader reports; a state that does not fit must be an error.
void load_ale_part(ALEInterface& ale, const std::string& serialized) {
  const std::string md5 = ale.theOSystem->console().properties().get(ale::stella::Cartridge_MD5);
  ale::ALEState state(serialized);
  ale::stella::Deserializer probe(state.m_serialized_state);
  if (probe.getString() != md5) throw std::runtime_error("the state is of another ROM");
  ale.restoreState(state);
}

std::unique_ptr<ale::RomSettings> settings_of(const std::string& game) {
  return std::unique_ptr<ale::RomSettings>(ale::buildRomRLWrapper(game + ".bin", ""));
}

}  // namespace

AleShim::AleShim(const std::string& rom_path) : ale_(std::make_unique<ALEInterface>()) {
  // Stickiness is drawn outside. A fixed seed keeps ALE from asking the clock.
  ale_->setInt("random_seed", 0);
  ale_->setFloat("repeat_action_probability", 0.0f);
  ale_->setInt("frame_skip", 1);
  ale_->setInt("max_num_frames_per_episode", 0);
  ale_->setBool("color_averaging", false);
  ale_->setBool("display_screen", false);
  ale_->setBool("sound", false);
  ale_->loadROM(rom_path);
}

AleShim::~AleShim() = default;

void AleShim::reset() { ale_->reset_game(); }

std::int32_t AleShim::act(std::uint8_t action) { return ale_->act(static_cast<ale::Action>(action)); }

bool AleShim::game_over() const { return ale_->game_over(false); }

std::int32_t AleShim::lives() const { return ale_->lives(); }

std::uint32_t AleShim::height() const { return static_cast<std::uint32_t>(ale_->getScreen().height()); }

std::uint32_t AleShim::width() const { return static_cast<std::uint32_t>(ale_->getScreen().width()); }

rust::Slice<const std::uint8_t> AleShim::screen() const {
  const auto& screen = ale_->getScreen();
  return {screen.getArray(), screen.arraySize()};
}

rust::Slice<const std::uint8_t> AleShim::ram() const {
  const auto& ram = ale_->getRAM();
  return {ram.array(), ram.size()};
}

void AleShim::grey_palette(rust::Slice<std::uint8_t> out) const {
  // ALE takes the slot after the index: the grey of an even one. Odd ones come up on PAL screens
  // (Air Raid), and for 255 ALE reads past its table, where the next table begins with black.
  const std::uint32_t* palette = ale_->theOSystem->colourPalette().m_palette;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = i < 255 ? palette[i + 1] & 0xFF : 0;
}

void AleShim::rgb_palette(rust::Slice<std::uint32_t> out) const {
  const std::uint32_t* palette = ale_->theOSystem->colourPalette().m_palette;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = palette[i];
}

rust::Vec<std::uint8_t> AleShim::minimal_actions() const {
  rust::Vec<std::uint8_t> actions;
  for (ale::Action action : ale_->getMinimalActionSet()) actions.push_back(static_cast<std::uint8_t>(action));
  return actions;
}

rust::Vec<std::uint32_t> AleShim::modes() const {
  rust::Vec<std::uint32_t> modes;
  for (auto mode : ale_->getAvailableModes()) modes.push_back(mode);
  return modes;
}

rust::Vec<std::uint32_t> AleShim::difficulties() const {
  rust::Vec<std::uint32_t> difficulties;
  for (auto difficulty : ale_->getAvailableDifficulties()) difficulties.push_back(difficulty);
  return difficulties;
}

void AleShim::set_mode(std::uint32_t mode) { ale_->setMode(mode); }

void AleShim::set_difficulty(std::uint32_t difficulty) { ale_->setDifficulty(difficulty); }

rust::Vec<std::uint8_t> AleShim::save_state() const {
  return translated([this] {
    Writer writer;
    std::string ales_part = ale_->cloneState(false).serialize();
    walk_string(writer, ales_part);
    walk_rest(writer, *ale_);
    return std::move(writer.bytes);
  });
}

void AleShim::load_state(rust::Slice<const std::uint8_t> state) {
  translated([this, state] {
    Reader reader(state);
    std::string ales_part;
    walk_string(reader, ales_part);
    load_ale_part(*ale_, ales_part);
    walk_rest(reader, *ale_);
    reader.expect_end();
  });
}

std::unique_ptr<AleShim> open_rom(rust::Str path) {
  // The logger's mode is one unguarded variable of the whole process: set it once, before any
  // emulator exists.
  static std::once_flag silenced;
  std::call_once(silenced, [] { ale::Logger::setMode(ale::Logger::Error); });
  return translated([path] { return std::make_unique<AleShim>(std::string(path)); });
}

rust::String rom_digest(rust::Slice<const std::uint8_t> rom) {
  return ale::stella::MD5(rom.data(), static_cast<std::uint32_t>(rom.size()));
}

rust::String supported_digest(rust::Str game) {
  const auto settings = settings_of(std::string(game));
  return settings ? rust::String(settings->md5()) : rust::String();
}

}  // namespace coordrl
