// The exported functions of include/onestep.h, and nothing else: each checks its pointers and calls
// what stands in src/. Compiled as Objective-C++ without ARC, on macOS and on the headless
// implementation of its frameworks alike.

#include "include/onestep.h"

#include "src/buffer.h"
#include "src/differentiate.h"
#include "src/guard.h"
#include "src/op_table.h"
#include "src/optimizer_step.h"
#include "src/program.h"
#include "src/queue.h"
#include "src/ticket.h"

using namespace onestep;

namespace {

// Whether a struct is there and has the size that this library knows.
template <class T>
Status check_struct(const T *args, const char *name) {
  if (!args) return failure(ONESTEP_INVALID_ARGUMENT, "%s is NULL", name);
  if (args->struct_bytes == sizeof(T)) return ok();
  return failure(ONESTEP_INVALID_ARGUMENT,
                 "%s has %llu bytes, but this library's has %zu: was it built for another version?",
                 name, static_cast<unsigned long long>(args->struct_bytes), sizeof(T));
}

Status check_pointer(const void *pointer, const char *name) {
  return pointer ? ok() : failure(ONESTEP_INVALID_ARGUMENT, "%s is NULL", name);
}

// Runs `make` and gives the handle that it makes to the caller.
template <class T, class Make>
onestep_status *give(T **out, const void *from, Make make) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(out, "the out pointer"));
    *out = nullptr;
    ONESTEP_TRY(check_pointer(from, "the handle"));
    Handle<T> made;
    ONESTEP_TRY(make(&made));
    *out = made.detach();
    return ok();
  });
}

onestep_status *run_step(onestep_step_args *args, onestep_mode mode, const char *wanted) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_struct(args, "onestep_step_args"));
    args->ticket = nullptr;
    ONESTEP_TRY(check_pointer(args->program, "the program"));
    if (args->program->description.mode != mode) {
      return failure(ONESTEP_INVALID_ARGUMENT, "the program was not compiled with %s", wanted);
    }
    return args->program->submit(*args);
  });
}

template <class Args>
onestep_status *run_rule(Args *args, const char *name, OptimizerRule (*rule)(const Args &)) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_struct(args, name));
    args->call.ticket = nullptr;
    return run_optimizer(rule(*args), &args->call);
  });
}

}  // namespace

extern "C" {

uint32_t onestep_abi_version(void) { return ONESTEP_ABI_VERSION; }

const char *onestep_op_name(uint32_t op) {
  const OpInfo *info = find_op(op);
  return info ? info->name : nullptr;
}

onestep_status *onestep_device_count(uint32_t *out_count) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(out_count, "the out pointer"));
    return count_devices(out_count);
  });
}

onestep_status *onestep_device_open(uint32_t index, onestep_device **out_device) {
  return give(out_device, out_device,
              [&](Handle<onestep_device> *made) { return open_device(index, made); });
}

void onestep_device_release(onestep_device *device) { release_handle(device); }

onestep_status *onestep_device_get_info(const onestep_device *device, onestep_device_info *info) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(device, "the device"));
    ONESTEP_TRY(check_struct(info, "onestep_device_info"));
    return describe_device(*device, info);
  });
}

onestep_status *onestep_device_get_statistics(const onestep_device *device,
                                              onestep_statistics *statistics) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(device, "the device"));
    ONESTEP_TRY(check_struct(statistics, "onestep_statistics"));
    read_statistics(*device, statistics);
    return ok();
  });
}

onestep_status *onestep_buffer_create(onestep_device *device, uint64_t bytes, uint32_t storage,
                                      onestep_buffer **out_buffer) {
  return give(out_buffer, device, [&](Handle<onestep_buffer> *made) -> Status {
    if (storage > ONESTEP_STORAGE_PRIVATE) {
      return failure(ONESTEP_INVALID_ARGUMENT, "there is no storage with the code %u", storage);
    }
    return create_buffer(device, bytes, static_cast<onestep_storage>(storage), made);
  });
}

void onestep_buffer_release(onestep_buffer *buffer) { release_handle(buffer); }

uint64_t onestep_buffer_bytes(const onestep_buffer *buffer) { return buffer ? buffer->bytes : 0; }

uint32_t onestep_buffer_storage(const onestep_buffer *buffer) {
  return buffer ? buffer->storage : ONESTEP_STORAGE_SHARED;
}

void *onestep_buffer_contents(onestep_buffer *buffer) {
  if (!buffer || buffer->storage != ONESTEP_STORAGE_SHARED) return nullptr;
  return [buffer->metal.get() contents];
}

onestep_status *onestep_buffer_write(onestep_buffer *buffer, uint64_t offset, const void *data,
                                     uint64_t bytes) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(buffer, "the buffer"));
    return write_buffer(*buffer, offset, data, bytes);
  });
}

onestep_status *onestep_buffer_read(onestep_buffer *buffer, uint64_t offset, void *data,
                                    uint64_t bytes) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(buffer, "the buffer"));
    return read_buffer(*buffer, offset, data, bytes);
  });
}

onestep_status *onestep_buffer_fill(onestep_buffer *buffer, uint64_t offset, uint64_t bytes,
                                    uint8_t value) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(buffer, "the buffer"));
    return fill_buffer(*buffer, offset, bytes, value);
  });
}

onestep_status *onestep_queue_create(onestep_device *device, uint32_t in_flight,
                                     onestep_queue **out_queue) {
  return give(out_queue, device,
              [&](Handle<onestep_queue> *made) { return create_queue(device, in_flight, made); });
}

void onestep_queue_release(onestep_queue *queue) { release_handle(queue); }

onestep_status *onestep_queue_wait_idle(onestep_queue *queue) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(queue, "the queue"));
    queue->wait_idle();
    return ok();
  });
}

onestep_status *onestep_queue_recover(onestep_queue *queue) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(queue, "the queue"));
    queue->recover();
    return ok();
  });
}

onestep_status *onestep_queue_copy(onestep_copy_args *args) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_struct(args, "onestep_copy_args"));
    args->ticket = nullptr;
    return submit_copies(*args);
  });
}

onestep_status *onestep_program_compile(onestep_program_args *args) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_struct(args, "onestep_program_args"));
    args->program = nullptr;
    Handle<onestep_program> program;
    ONESTEP_TRY(compile_program(*args, &program));
    args->program = program.detach();
    return ok();
  });
}

void onestep_program_release(onestep_program *program) { release_handle(program); }

onestep_status *onestep_program_get_info(const onestep_program *program,
                                         onestep_program_info *info) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(program, "the program"));
    ONESTEP_TRY(check_struct(info, "onestep_program_info"));
    describe_program(*program, info);
    return ok();
  });
}

onestep_status *onestep_program_output(onestep_program *program, uint64_t index,
                                       onestep_buffer **out_buffer) {
  return give(out_buffer, program, [&](Handle<onestep_buffer> *found) {
    return program_output(*program, index, found);
  });
}

onestep_status *onestep_graph_differentiate(onestep_differentiate_args *args) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_struct(args, "onestep_differentiate_args"));
    args->derivative = nullptr;
    Handle<onestep_derivative> derivative;
    ONESTEP_TRY(differentiate(*args, &derivative));
    args->derivative = derivative.detach();
    return ok();
  });
}

onestep_status *onestep_derivative_nodes(const onestep_derivative *derivative,
                                         onestep_graph *out_nodes) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(derivative, "the derivative"));
    ONESTEP_TRY(check_pointer(out_nodes, "where the nodes go"));
    *out_nodes = {derivative->nodes.data(), derivative->nodes.size()};
    return ok();
  });
}

void onestep_derivative_release(onestep_derivative *derivative) { release_handle(derivative); }

onestep_status *onestep_execute_training_step(onestep_step_args *args) {
  return run_step(args, ONESTEP_TRAIN, "ONESTEP_TRAIN");
}

onestep_status *onestep_execute_inference(onestep_step_args *args) {
  return run_step(args, ONESTEP_INFER, "ONESTEP_INFER");
}

onestep_status *onestep_sgd_step(onestep_sgd_args *args) {
  return run_rule(args, "onestep_sgd_args", sgd_rule);
}

onestep_status *onestep_adam_step(onestep_adam_args *args) {
  return run_rule(args, "onestep_adam_args", adam_rule);
}

onestep_status *onestep_rmsprop_step(onestep_rmsprop_args *args) {
  return run_rule(args, "onestep_rmsprop_args", rmsprop_rule);
}

onestep_status *onestep_ticket_poll(onestep_ticket *ticket, onestep_ticket_result *result) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(ticket, "the ticket"));
    ONESTEP_TRY(check_struct(result, "onestep_ticket_result"));
    return poll_ticket(*ticket, result);
  });
}

onestep_status *onestep_ticket_wait(onestep_ticket *ticket, uint64_t timeout_ms,
                                    onestep_ticket_result *result) {
  return entry([&]() -> Status {
    ONESTEP_TRY(check_pointer(ticket, "the ticket"));
    ONESTEP_TRY(check_struct(result, "onestep_ticket_result"));
    return wait_for_ticket(*ticket, timeout_ms, result);
  });
}

void onestep_ticket_release(onestep_ticket *ticket) { release_handle(ticket); }
}
