// A step of a compiled program.

#include <algorithm>
#include <cstring>

#include "node_emitter.h"
#include "program.h"

using namespace onestep;

namespace {

Status check_buffers(onestep_buffer *const *list, uint64_t count, uint64_t wanted,
                     const char *what) {
  if (count != wanted || (count && !list)) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the step takes %llu %s, got %llu",
                   static_cast<unsigned long long>(wanted), what,
                   static_cast<unsigned long long>(list ? count : 0));
  }
  return ok();
}

// A Philox state as PyTorch's MPS backend lays it out: a word that is 1, the counter [block, stream,
// step], of which the platform counts the blocks, and the key, which is the seed.
void write_philox_state(uint32_t *words, uint64_t seed, uint64_t step, uint32_t stream) {
  std::fill(words, words + kPhiloxWords, 0);
  words[0] = 1;
  uint32_t *counter = words + 1, *key = counter + 4;
  counter[0] = 0;
  counter[1] = stream;
  counter[2] = static_cast<uint32_t>(step);
  counter[3] = static_cast<uint32_t>(step >> 32);
  key[0] = static_cast<uint32_t>(seed);
  key[1] = static_cast<uint32_t>(seed >> 32);
}

}  // namespace

Status onestep_program::check_step(const onestep_step_args &args) const {
  const std::vector<uint64_t> &bytes = description.feed_bytes;
  ONESTEP_TRY(check_buffers(args.feeds, args.feed_count, bytes.size(), "feeds"));
  for (size_t i = 0; i < bytes.size(); i++) {
    ONESTEP_TRY(check_range(args.feeds[i], 0, bytes[i], "a feed"));
  }
  if (args.scalar_count != description.scalar_count || (args.scalar_count && !args.scalars)) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the step takes %llu scalars, got %llu",
                   static_cast<unsigned long long>(description.scalar_count),
                   static_cast<unsigned long long>(args.scalars ? args.scalar_count : 0));
  }
  if (!args.outputs) return ok();
  ONESTEP_TRY(check_buffers(args.outputs, args.output_count, outputs.size(), "outputs"));
  for (size_t i = 0; i < outputs.size(); i++) {
    ONESTEP_TRY(check_range(args.outputs[i], 0, description.outputs[i].bytes, "an output"));
  }
  return ok();
}

// The memory of a place in flight is free: the step that used it last is done.
void onestep_program::write_scalars(const onestep_step_args &args, uint32_t place) const {
  if (args.scalar_count) {
    std::memcpy([bindings.at({Source::Scalars}, place) contents], args.scalars,
                args.scalar_count * sizeof(float));
  }
  if (streams.empty()) return;
  auto *words = static_cast<uint32_t *>([bindings.at({Source::Random}, place) contents]);
  for (uint32_t stream : streams) {
    write_philox_state(words, args.seed, args.step, stream);
    words += kPhiloxWords;
  }
}

void onestep_program::keep_buffers(const onestep_step_args &args, Flight &flight) const {
  for (uint64_t i = 0; i < args.feed_count; i++) flight.buffers.emplace_back(args.feeds[i]);
  for (uint64_t i = 0; args.outputs && i < args.output_count; i++) {
    flight.buffers.emplace_back(args.outputs[i]);
  }
  if (description.reports.empty()) return;
  id<MTLBuffer> buffer = bindings.at({Source::Reports}, flight.place);
  flight.reports = {Ref<id<MTLBuffer>>(buffer), description.reports.size()};
}

Status onestep_program::encode(const onestep_step_args &args, Commands &commands,
                               Flight &flight) {
  retain();
  flight.owner = Handle<Counted>::adopt(this);
  keep_buffers(args, flight);
  write_scalars(args, flight.place);
  const StepBuffers buffers{args.feeds, args.outputs, nullptr};
  const StepContext step{*description.queue->device.get(), flight, buffers};
  for (size_t i = 0; i < stages.size(); i++) {
    MPSCommandBuffer *current = nil;
    ONESTEP_TRY(commands.current(&current));
    ONESTEP_TRY(stages[i]->encode(current, step));
    if (ends_commands[i]) commands.commit();
  }
  return ok();
}

Status onestep_program::submit(onestep_step_args &args) {
  ONESTEP_TRY(check_step(args));
  Notice notice{args.on_complete, args.context, args.tag, args.want_ticket != 0};
  Submitted submitted;
  // Held by reference: the closure does not outlive the call.
  auto run = [&](Commands &commands, Flight &flight) { return encode(args, commands, flight); };
  ONESTEP_TRY(description.queue->submit(description.trains(), notice, run, &submitted));
  args.serial = submitted.serial;
  args.ticket = submitted.ticket;
  return ok();
}
