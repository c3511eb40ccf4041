// The C++ half of the emulator's wrapper. Every function either does its work or throws a
// std::exception, which becomes an error value on the other side; none may exit or abort.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "rust/cxx.h"

namespace ale {
class ALEInterface;
}

namespace coordrl {

// One emulator with one game in it.
class AleShim {
 public:
  explicit AleShim(const std::string& rom_path);
  ~AleShim();

  // Back to the start of the game. Takes effect of a newly set mode or difficulty.
  void reset();
  // One emulator frame under one of the 18 actions; gives the reward. The caller checks the range.
  std::int32_t act(std::uint8_t action);

  bool game_over() const;
  std::int32_t lives() const;
  std::uint32_t height() const;
  std::uint32_t width() const;
  // Palette indices of the latest frame, row by row: a view that the next `act` overwrites.
  rust::Slice<const std::uint8_t> screen() const;
  // The console's 128 bytes of RAM: a view that the next `act` overwrites.
  rust::Slice<const std::uint8_t> ram() const;
  // For each palette index: ALE's grey, and 0x00RRGGBB.
  void grey_palette(rust::Slice<std::uint8_t> out) const;
  void rgb_palette(rust::Slice<std::uint32_t> out) const;

  rust::Vec<std::uint8_t> minimal_actions() const;
  rust::Vec<std::uint32_t> modes() const;
  rust::Vec<std::uint32_t> difficulties() const;
  void set_mode(std::uint32_t mode);
  void set_difficulty(std::uint32_t difficulty);

  // Everything that decides what follows. `load_state` trusts its bytes: check them first.
  rust::Vec<std::uint8_t> save_state() const;
  void load_state(rust::Slice<const std::uint8_t> state);

 private:
  std::unique_ptr<ale::ALEInterface> ale_;
};

std::unique_ptr<AleShim> open_rom(rust::Str path);
// The MD5 digest of a ROM image, in lower-case hexadecimal.
rust::String rom_digest(rust::Slice<const std::uint8_t> rom);
// The digest of the ROM that ALE's settings of `game` are written for; empty if it has none.
rust::String supported_digest(rust::Str game);

}  // namespace coordrl
