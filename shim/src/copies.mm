// Copies that a caller submits to a queue.

#include "queue.h"

namespace onestep {

namespace {

Status check_copy(const onestep_copy &copy) {
  ONESTEP_TRY(check_range(copy.source, copy.source_offset, copy.bytes, "the source of a copy"));
  ONESTEP_TRY(check_range(copy.target, copy.target_offset, copy.bytes, "the target of a copy"));
  if (copy.source_offset % 4 || copy.target_offset % 4 || copy.bytes % 4) {
    return failure(ONESTEP_INVALID_ARGUMENT, "offsets and sizes of copies are multiples of 4");
  }
  return ok();
}

Status encode_copies(const onestep_copy_args &args, Commands &commands, Flight &flight) {
  MPSCommandBuffer *current = nil;
  ONESTEP_TRY(commands.current(&current));
  id<MTLBlitCommandEncoder> blit = [current blitCommandEncoder];
  if (!blit) return failure(ONESTEP_OUT_OF_MEMORY, "the device gave no blit encoder");
  for (uint64_t i = 0; i < args.copy_count; i++) {
    const onestep_copy &copy = args.copies[i];
    flight.buffers.emplace_back(copy.source);
    flight.buffers.emplace_back(copy.target);
    if (copy.bytes == 0) continue;
    [blit copyFromBuffer:copy.source->metal.get() sourceOffset:copy.source_offset
                toBuffer:copy.target->metal.get() destinationOffset:copy.target_offset
                    size:copy.bytes];
  }
  [blit endEncoding];
  return ok();
}

}  // namespace

Status submit_copies(onestep_copy_args &args) {
  if (!args.queue || (args.copy_count && !args.copies)) {
    return failure(ONESTEP_INVALID_ARGUMENT, "the queue or the list of copies is NULL");
  }
  for (uint64_t i = 0; i < args.copy_count; i++) ONESTEP_TRY(check_copy(args.copies[i]));
  auto run = [&](Commands &commands, Flight &flight) {
    return encode_copies(args, commands, flight);
  };
  Notice notice{args.on_complete, args.context, args.tag, args.want_ticket != 0};
  Submitted submitted;
  ONESTEP_TRY(args.queue->submit(false, notice, run, &submitted));
  args.serial = submitted.serial;
  args.ticket = submitted.ticket;
  return ok();
}

}  // namespace onestep
