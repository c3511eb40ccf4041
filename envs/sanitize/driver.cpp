// Drives many emulators from many threads through the shim, as the Rust side does.
//
//   driver ROM_DIR THREADS FRAMES GAME...
//
// Threads share nothing but a relaxed counter while they work: a lock of the driver's would order
// what the emulators do and so hide their races. Prints one digest a job, which depends on neither
// the number of threads nor their timing. The exit status is 1 if any comparison fails.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordrl-envs/src/atari/shim.hpp"

namespace {

using coordrl::AleShim;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kActions = 18;
constexpr int kFramesBetweenScreens = 8;

// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }

 private:
  std::uint64_t state_;
};

// FNV-1a.
class Digest {
 public:
  void add(const std::uint8_t* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ bytes[i]) * 0x100000001B3u;
  }
  void add(rust::Slice<const std::uint8_t> bytes) { add(bytes.data(), bytes.size()); }
  void add(std::int32_t number) {
    for (int shift = 0; shift < 32; shift += 8) {
      const auto byte = static_cast<std::uint8_t>(static_cast<std::uint32_t>(number) >> shift);
      add(&byte, 1);
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325u;
};

void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

Bytes copy(rust::Slice<const std::uint8_t> bytes) { return Bytes(bytes.begin(), bytes.end()); }

rust::Slice<const std::uint8_t> slice(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  expect(file.good(), "cannot read the ROM");
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// What `Ale::open` does.
std::unique_ptr<AleShim> open(const std::string& rom_dir, const std::string& game, Digest& digest) {
  const std::string path = rom_dir + "/" + game + ".bin";
  const auto found = coordrl::rom_digest(slice(read_file(path)));
  expect(found == coordrl::supported_digest(game), "not the ROM that ALE knows");
  auto emulator = coordrl::open_rom(path);
  std::vector<std::uint8_t> grey(256);
  std::vector<std::uint32_t> rgb(256);
  emulator->grey_palette({grey.data(), grey.size()});
  emulator->rgb_palette({rgb.data(), rgb.size()});
  digest.add(grey.data(), grey.size());
  for (std::uint32_t colour : rgb) digest.add(static_cast<std::int32_t>(colour));
  expect(emulator->screen().size() == std::size_t{emulator->height()} * emulator->width(), "screen size");
  expect(emulator->ram().size() == 128, "RAM size");
  expect(emulator->minimal_actions().size() != 0, "no actions");
  return emulator;
}

struct Settings {
  std::uint32_t mode;
  std::uint32_t difficulty;
};

Settings draw_settings(const AleShim& emulator, Random& random) {
  const auto modes = emulator.modes(), difficulties = emulator.difficulties();
  return {modes[random.below(modes.size())], difficulties[random.below(difficulties.size())]};
}

void choose(AleShim& emulator, Settings settings) {
  emulator.set_mode(settings.mode);
  emulator.set_difficulty(settings.difficulty);
  emulator.reset();
}

void step(AleShim& emulator, std::uint8_t action, int frame, Digest& digest) {
  digest.add(emulator.act(action));
  digest.add(emulator.lives());
  digest.add(emulator.ram());
  if (frame % kFramesBetweenScreens == 0) digest.add(emulator.screen());
  if (emulator.game_over()) emulator.reset();
}

bool rejects(AleShim& emulator, const Bytes& state) {
  try {
    emulator.load_state(slice(state));
    return false;
  } catch (const std::exception&) {
    return true;
  }
}

// A state that does not fit must come back as an error, and cost no memory.
void try_bad_states(AleShim& emulator, Bytes state) {
  state.push_back(0);
  expect(rejects(emulator, state), "a state that is too long was taken");
  state.resize(state.size() - 2);
  expect(rejects(emulator, state), "a state that is cut short was taken");
  state.resize(4);
  expect(rejects(emulator, state), "a state of four bytes was taken");
}

// One emulator's life: open, play, save, restore into a fresh one, play both on, drop.
std::uint64_t live(const std::string& rom_dir, const std::string& game, std::uint64_t seed, int frames) {
  Random random(seed);
  Digest digest, ignored;
  auto emulator = open(rom_dir, game, digest);
  const bool chosen = random.below(2) == 1;
  const Settings settings = draw_settings(*emulator, random);
  if (chosen) choose(*emulator, settings);
  for (int frame = 0; frame < frames; ++frame) {
    step(*emulator, static_cast<std::uint8_t>(random.below(kActions)), frame, digest);
  }
  const auto saved = emulator->save_state();
  const Bytes state(saved.begin(), saved.end());
  digest.add(slice(state));
  auto restored = open(rom_dir, game, ignored);
  if (chosen) choose(*restored, settings);
  try_bad_states(*restored, state);
  restored->load_state(slice(state));
  for (int frame = 0; frame < frames / 2; ++frame) {
    expect(copy(restored->ram()) == copy(emulator->ram()), "RAM differs after restoring");
    expect(copy(restored->screen()) == copy(emulator->screen()), "screen differs after restoring");
    const auto action = static_cast<std::uint8_t>(random.below(kActions));
    Digest original, copied;
    step(*emulator, action, frame, original);
    step(*restored, action, frame, copied);
    expect(original.value() == copied.value(), "reward or lives differ after restoring");
  }
  const auto end = emulator->save_state();
  emulator.reset();
  const auto restored_end = restored->save_state();
  expect(Bytes(end.begin(), end.end()) == Bytes(restored_end.begin(), restored_end.end()),
         "states differ after restoring");
  digest.add({end.data(), end.size()});
  return digest.value();
}

struct Job {
  Job(std::string name, std::uint64_t number) : game(std::move(name)), seed(number) {}
  std::string game;
  std::uint64_t seed;
  std::uint64_t digest = 0;
  std::string failure;
};

// Starts all threads at once, so that the very first emulators are built side by side.
void in_threads(unsigned count, const std::function<void(unsigned)>& work) {
  std::atomic<unsigned> waiting{count};
  std::vector<std::thread> threads;
  for (unsigned index = 0; index < count; ++index) {
    threads.emplace_back([&, index] {
      waiting.fetch_sub(1, std::memory_order_relaxed);
      while (waiting.load(std::memory_order_relaxed) != 0) std::this_thread::yield();
      work(index);
    });
  }
  for (auto& thread : threads) thread.join();
}

void run_lives(std::vector<Job>& jobs, const std::string& rom_dir, unsigned threads, int frames) {
  std::atomic<std::size_t> next{0};
  in_threads(threads, [&](unsigned) {
    for (;;) {
      const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= jobs.size()) return;
      Job& job = jobs[index];
      try {
        job.digest = live(rom_dir, job.game, job.seed, frames);
      } catch (const std::exception& error) {
        job.failure = error.what();
      }
    }
  });
}

class Barrier {
 public:
  explicit Barrier(unsigned count) : count_(count), left_(count) {}
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const std::uint64_t round = round_;
    if (--left_ == 0) {
      left_ = count_;
      ++round_;
      turned_.notify_all();
    } else {
      turned_.wait(lock, [&] { return round_ != round; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable turned_;
  unsigned count_, left_;
  std::uint64_t round_ = 0;
};

// What `VecEnv` does: a batch is stepped by all threads, and an emulator is built by one thread,
// stepped by others and dropped by yet another.
void run_batch(std::vector<Job>& jobs, const std::string& rom_dir, unsigned threads, int frames) {
  std::vector<std::unique_ptr<AleShim>> emulators(jobs.size());
  std::vector<Digest> digests(jobs.size());
  std::vector<Random> randoms;
  for (const Job& job : jobs) randoms.emplace_back(job.seed);
  Barrier barrier(threads);
  const auto mine = [&](std::size_t index, int frame, unsigned thread) {
    return (index + static_cast<unsigned>(frame)) % threads == thread && jobs[index].failure.empty();
  };
  const auto guarded = [&](std::size_t index, const std::function<void()>& act) {
    try {
      act();
    } catch (const std::exception& error) {
      jobs[index].failure = error.what();
    }
  };
  in_threads(threads, [&](unsigned thread) {
    for (int frame = -1; frame <= frames; ++frame) {
      for (std::size_t index = 0; index < jobs.size(); ++index) {
        if (!mine(index, frame + 1, thread)) continue;
        guarded(index, [&] {
          auto& emulator = emulators[index];
          if (frame < 0) {
            emulator = open(rom_dir, jobs[index].game, digests[index]);
          } else if (frame < frames) {
            const auto action = static_cast<std::uint8_t>(randoms[index].below(kActions));
            step(*emulator, action, frame, digests[index]);
          } else {
            emulator.reset();
            jobs[index].digest = digests[index].value();
          }
        });
      }
      barrier.wait();
    }
  });
}

bool report(const char* kind, const std::vector<Job>& jobs) {
  bool all_well = true;
  for (const Job& job : jobs) {
    all_well = all_well && job.failure.empty();
    std::printf("%s %s %llu %016llx %s\n", kind, job.game.c_str(), static_cast<unsigned long long>(job.seed),
                static_cast<unsigned long long>(job.digest), job.failure.c_str());
  }
  return all_well;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: driver ROM_DIR THREADS FRAMES GAME...\n");
    return 2;
  }
  const std::string rom_dir = argv[1];
  const int threads = std::atoi(argv[2]), frames = std::atoi(argv[3]);
  if (threads < 1 || frames < 1) {
    std::fprintf(stderr, "THREADS and FRAMES are numbers from 1\n");
    return 2;
  }
  // Twice in a row: the same game runs in two threads at once.
  std::vector<Job> jobs;
  for (int i = 4; i < argc; ++i) {
    for (std::uint64_t seed : {1, 2}) jobs.emplace_back(argv[i], seed);
  }
  std::vector<Job> batch = jobs;
  run_lives(jobs, rom_dir, static_cast<unsigned>(threads), frames);
  run_batch(batch, rom_dir, static_cast<unsigned>(threads), frames);
  const bool lives_well = report("life", jobs), batch_well = report("batch", batch);
  return lives_well && batch_well ? 0 : 1;
}
