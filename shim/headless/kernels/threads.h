// Runs a kernel's groups one after the other, in an order that a seed chooses. Threads of a group are fibers: each
// runs until it waits at a barrier, in an order that the seed chooses anew each time, so that a barrier that is
// missing shows.
#pragma once
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>
#include <vector>

typedef void (*host_entry)(void* const*, unsigned int, unsigned int);

namespace host {
// A context is only entered once: from then on jumps, which make no system call, go to and fro.
struct Fiber { ucontext_t context; jmp_buf at; std::vector<char> stack; bool begun, done; };
// Of each thread of the host that runs launches.
static thread_local jmp_buf scheduler;
static thread_local std::vector<Fiber> fibers;
static thread_local unsigned int current, group;
static thread_local host_entry entry;
static thread_local void* const* buffers;

static uint64_t next(uint64_t& state) {
  state += 0x9e3779b97f4a7c15ull;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

static std::vector<unsigned int> shuffled(unsigned int count, uint64_t& state) {
  std::vector<unsigned int> order(count);
  for (unsigned int i = 0; i < count; ++i) {
    const unsigned int j = (unsigned int)(next(state) % (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}

static void leave() {
  if (_setjmp(fibers[current].at) == 0) _longjmp(scheduler, 1);
}

static void run_fiber() {
  for (;;) {
    entry(buffers, group, current);
    fibers[current].done = true;
    leave();
  }
}

__attribute__((noinline)) static void resume(unsigned int thread) {
  current = thread;
  if (_setjmp(scheduler) != 0) return;
  Fiber& fiber = fibers[thread];
  if (fiber.begun) _longjmp(fiber.at, 1);
  fiber.begun = true;
  setcontext(&fiber.context);
}

static void reserve(unsigned int threads) {
  const size_t stack = 64 << 10;
  while (fibers.size() < threads) {
    fibers.emplace_back();
    Fiber& fiber = fibers.back();
    fiber.stack.resize(stack);
    fiber.begun = false;
  }
  for (Fiber& fiber : fibers) {
    if (fiber.begun) continue;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = stack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
}

static void run_group(unsigned int threads, uint64_t& state) {
  for (unsigned int t = 0; t < threads; ++t) fibers[t].done = false;
  for (unsigned int left = threads; left > 0;) {
    unsigned int waiting = 0;
    for (unsigned int t : shuffled(threads, state)) {
      if (fibers[t].done) continue;
      resume(t);
      if (fibers[t].done) --left; else ++waiting;
    }
    if (left > 0 && waiting != threads) {
      std::fprintf(stderr, "a barrier that not all threads of a group reach\n");
      std::abort();
    }
  }
}
}  // namespace host

extern "C" void host_barrier() { host::leave(); }

extern "C" void host_run(host_entry entry, void* const* buffers, unsigned int groups, unsigned int threads,
                         int waits, uint64_t seed) {
  host::entry = entry;
  host::buffers = buffers;
  if (waits) host::reserve(threads);
  for (unsigned int group : host::shuffled(groups, seed)) {
    if (waits) {
      host::group = group;
      host::run_group(threads, seed);
    } else {
      for (unsigned int thread : host::shuffled(threads, seed)) entry(buffers, group, thread);
    }
  }
}
