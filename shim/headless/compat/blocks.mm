// A blocks runtime for gcc's libobjc, in which blocks are Objective-C objects and captured objects
// are retained. libBlocksRuntime does neither. The layout is that of the Clang block ABI
// (https://clang.llvm.org/docs/Block-ABI-Apple.html).
#import <Foundation/Foundation.h>
#include <atomic>
#include <stdlib.h>
#include <string.h>

extern "C" {
// The names that compiled blocks refer to. They become copies of a class (see warm_up.mm).
void *_NSConcreteStackBlock[32], *_NSConcreteMallocBlock[32], *_NSConcreteGlobalBlock[32];
}

namespace {

enum BlockFlag : int {
  kReferenceMask = 0xffff,
  kNeedsFree = 1 << 24,
  kHasCopyAndDispose = 1 << 25,
  kIsGlobal = 1 << 28,
};

// What a captured variable is: the flags of _Block_object_assign.
enum FieldFlag : int { kFieldBlock = 7, kFieldByref = 8, kFieldByrefCaller = 128 };

struct Descriptor {
  unsigned long reserved, size;
  void (*copy)(void *to, void *from);
  void (*dispose)(void *block);
};

struct Block {
  void *isa;
  std::atomic<int> flags;
  int reserved;
  void (*invoke)(void);
  Descriptor *descriptor;
};

struct Byref {
  void *isa;
  Byref *forwarding;
  std::atomic<int> flags;
  unsigned size;
  void (*keep)(Byref *to, Byref *from);
  void (*destroy)(Byref *);
};

// True when this was the last reference.
bool drop(std::atomic<int> &flags) { return ((flags.fetch_sub(1) - 1) & kReferenceMask) == 0; }

Byref *copy_byref(Byref *source) {
  if (source->forwarding->flags.load() & kReferenceMask) {
    source->forwarding->flags.fetch_add(1);
    return source->forwarding;
  }
  Byref *copy = (Byref *)malloc(source->size);
  memcpy((void *)copy, (void *)source, source->size);
  // One reference for the stack frame, one for the block.
  copy->flags.store(source->flags.load() | kNeedsFree | 2);
  copy->forwarding = source->forwarding = copy;
  if (source->flags.load() & kHasCopyAndDispose) copy->keep(copy, source);
  return copy;
}

void drop_byref(Byref *byref) {
  byref = byref->forwarding;
  if (!(byref->flags.load() & kNeedsFree) || !drop(byref->flags)) return;
  if (byref->flags.load() & kHasCopyAndDispose) byref->destroy(byref);
  free(byref);
}

}  // namespace

extern "C" void *_Block_copy(const void *pointer) {
  Block *block = (Block *)pointer;
  if (!block) return NULL;
  int flags = block->flags.load();
  if (flags & kNeedsFree) {
    block->flags.fetch_add(1);
    return block;
  }
  if (flags & kIsGlobal) return block;
  Block *copy = (Block *)malloc(block->descriptor->size);
  memcpy((void *)copy, (void *)block, block->descriptor->size);
  copy->flags.store((flags & ~kReferenceMask) | kNeedsFree | 1);
  copy->isa = _NSConcreteMallocBlock;
  if (flags & kHasCopyAndDispose) block->descriptor->copy(copy, block);
  return copy;
}

extern "C" void _Block_release(const void *pointer) {
  Block *block = (Block *)pointer;
  if (!block || !(block->flags.load() & kNeedsFree) || !drop(block->flags)) return;
  if (block->flags.load() & kHasCopyAndDispose) block->descriptor->dispose(block);
  free(block);
}

extern "C" void _Block_object_assign(void *destination, const void *object, const int flags) {
  if (flags & kFieldByrefCaller) {
    *(const void **)destination = object;
  } else if (flags & kFieldByref) {
    *(Byref **)destination = copy_byref((Byref *)object);
  } else if ((flags & kFieldBlock) == kFieldBlock) {
    *(void **)destination = _Block_copy(object);
  } else {
    *(id *)destination = [(id)object retain];
  }
}

extern "C" void _Block_object_dispose(const void *object, const int flags) {
  if (flags & kFieldByrefCaller) return;
  if (flags & kFieldByref) {
    drop_byref((Byref *)object);
  } else if ((flags & kFieldBlock) == kFieldBlock) {
    _Block_release(object);
  } else {
    [(id)object release];
  }
}
