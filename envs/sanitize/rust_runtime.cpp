// The Rust half of cxx, in C++, so that every byte the shim touches is under the sanitizer.
//
// The C++ half (`cxx.h`, `cxx.cc`) is the crate's own. It calls the functions below, which the
// crate defines in Rust. A vector's and a string's three words are (data, capacity, length) here;
// the C++ half never looks inside. Vectors get just the room asked for, so that a write past it
// is a write past an allocation.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct Sequence {
  void* data;
  std::size_t capacity;
  std::size_t length;
};

struct View {
  const void* data;
  std::size_t length;
};

void reserve(Sequence* self, std::size_t capacity, std::size_t element_bytes) {
  if (capacity <= self->capacity) return;
  // An empty vector in Rust has a dangling pointer, never null.
  void* grown = std::malloc(capacity * element_bytes);
  if (grown == nullptr) std::abort();
  if (self->length != 0) std::memcpy(grown, self->data, self->length * element_bytes);
  if (self->capacity != 0) std::free(self->data);
  self->data = grown;
  self->capacity = capacity;
}

void start(Sequence* self, std::size_t alignment) {
  *self = {reinterpret_cast<void*>(alignment), 0, 0};
}

void drop(Sequence* self) {
  if (self->capacity != 0) std::free(self->data);
}

void assign(Sequence* self, const void* bytes, std::size_t length) {
  start(self, 1);
  reserve(self, length, 1);
  if (length != 0) std::memcpy(self->data, bytes, length);
  self->length = length;
}

}  // namespace

#define VEC_OF_PLAIN(NAME, BYTES)                                                              \
  void cxxbridge1$rust_vec$##NAME##$new(Sequence* self) { start(self, BYTES); }                \
  void cxxbridge1$rust_vec$##NAME##$drop(Sequence* self) { drop(self); }                       \
  std::size_t cxxbridge1$rust_vec$##NAME##$len(const Sequence* self) { return self->length; }  \
  std::size_t cxxbridge1$rust_vec$##NAME##$capacity(const Sequence* self) {                    \
    return self->capacity;                                                                     \
  }                                                                                            \
  const void* cxxbridge1$rust_vec$##NAME##$data_const(const Sequence* self) {                  \
    return self->data;                                                                         \
  }                                                                                            \
  void* cxxbridge1$rust_vec$##NAME##$data_mut(Sequence* self) { return self->data; }           \
  void cxxbridge1$rust_vec$##NAME##$reserve_total(Sequence* self, std::size_t capacity) {      \
    reserve(self, capacity, BYTES);                                                            \
  }                                                                                            \
  void cxxbridge1$rust_vec$##NAME##$set_len(Sequence* self, std::size_t length) {              \
    if (length > self->capacity) std::abort();                                                 \
    self->length = length;                                                                     \
  }                                                                                            \
  void cxxbridge1$rust_vec$##NAME##$truncate(Sequence* self, std::size_t length) {             \
    if (length < self->length) self->length = length;                                          \
  }

// The C++ half refers to these and the shim does not.
#define NEVER_CALLED(NAME) \
  void cxxbridge1$##NAME() { std::abort(); }
#define VEC_NEVER_USED(NAME)             \
  NEVER_CALLED(rust_vec$##NAME##$new)    \
  NEVER_CALLED(rust_vec$##NAME##$drop)   \
  NEVER_CALLED(rust_vec$##NAME##$len)    \
  NEVER_CALLED(rust_vec$##NAME##$capacity) \
  NEVER_CALLED(rust_vec$##NAME##$data_const) \
  NEVER_CALLED(rust_vec$##NAME##$data_mut) \
  NEVER_CALLED(rust_vec$##NAME##$reserve_total) \
  NEVER_CALLED(rust_vec$##NAME##$set_len) \
  NEVER_CALLED(rust_vec$##NAME##$truncate)

extern "C" {

VEC_OF_PLAIN(u8, 1)
VEC_OF_PLAIN(u32, 4)
VEC_NEVER_USED(u16)
VEC_NEVER_USED(u64)
VEC_NEVER_USED(i8)
VEC_NEVER_USED(i16)
VEC_NEVER_USED(i32)
VEC_NEVER_USED(i64)
VEC_NEVER_USED(f32)
VEC_NEVER_USED(f64)
VEC_NEVER_USED(bool)
VEC_NEVER_USED(char)
VEC_NEVER_USED(usize)
VEC_NEVER_USED(isize)
VEC_NEVER_USED(string)
VEC_NEVER_USED(str)

void cxxbridge1$string$new(Sequence* self) { start(self, 1); }
void cxxbridge1$string$clone(Sequence* self, const Sequence* other) {
  assign(self, other->data, other->length);
}
// The shim's strings are hexadecimal digests: ASCII.
bool cxxbridge1$string$from_utf8(Sequence* self, const char* text, std::size_t length) {
  assign(self, text, length);
  return true;
}
void cxxbridge1$string$drop(Sequence* self) { drop(self); }
const void* cxxbridge1$string$ptr_const(const Sequence* self) { return self->data; }
void* cxxbridge1$string$ptr_mut(Sequence* self) { return self->data; }
std::size_t cxxbridge1$string$len(const Sequence* self) { return self->length; }
std::size_t cxxbridge1$string$capacity(const Sequence* self) { return self->capacity; }
void cxxbridge1$string$reserve_additional(Sequence* self, std::size_t additional) {
  reserve(self, self->length + additional, 1);
}
void cxxbridge1$string$reserve_total(Sequence* self, std::size_t capacity) {
  reserve(self, capacity, 1);
}
NEVER_CALLED(string$from_utf8_lossy)
NEVER_CALLED(string$from_utf16)
NEVER_CALLED(string$from_utf16_lossy)

void cxxbridge1$str$new(View* self) { *self = {reinterpret_cast<const void*>(1), 0}; }
void cxxbridge1$str$ref(View* self, const Sequence* string) { *self = {string->data, string->length}; }
bool cxxbridge1$str$from(View* self, const char* text, std::size_t length) {
  *self = {text, length};
  return true;
}
const void* cxxbridge1$str$ptr(const View* self) { return self->data; }
std::size_t cxxbridge1$str$len(const View* self) { return self->length; }

void cxxbridge1$slice$new(View* self, const void* first, std::size_t length) { *self = {first, length}; }
const void* cxxbridge1$slice$ptr(const View* self) { return self->data; }
std::size_t cxxbridge1$slice$len(const View* self) { return self->length; }

NEVER_CALLED(exception)

}  // extern "C"
