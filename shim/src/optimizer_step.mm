#include "optimizer_step.h"

#include <algorithm>
#include <cstring>

#include "node_emitter.h"
#include "optimizer_cache.h"

namespace onestep {

namespace {

Status check_tensor(const OptimizerRule &rule, const onestep_optimizer_tensor &tensor) {
  if (tensor.elements == 0 || tensor.elements > INT64_MAX / 4) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: a tensor of %llu elements", rule.name,
                   static_cast<unsigned long long>(tensor.elements));
  }
  uint64_t bytes = tensor.elements * 4;
  ONESTEP_TRY(check_range(tensor.parameter, 0, bytes, "a parameter"));
  ONESTEP_TRY(check_range(tensor.gradient, 0, bytes, "a gradient"));
  for (uint32_t kind = 0; kind < rule.states; kind++) {
    ONESTEP_TRY(check_range(tensor.states[kind], 0, bytes, "an optimizer state"));
  }
  return ok();
}

Status check_call(const OptimizerRule &rule, const onestep_optimizer_call &call) {
  if (!call.queue) return failure(ONESTEP_INVALID_ARGUMENT, "%s: the queue is NULL", rule.name);
  if (!call.tensors || call.tensor_count == 0 || call.tensor_count > UINT32_MAX / kStatesOfTensor) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: no tensors to update", rule.name);
  }
  if (call.step == 0) {
    return failure(ONESTEP_INVALID_ARGUMENT, "%s: steps count from 1, got 0", rule.name);
  }
  for (uint64_t i = 0; i < call.tensor_count; i++) ONESTEP_TRY(check_tensor(rule, call.tensors[i]));
  return ok();
}

std::string cache_key(const OptimizerRule &rule, const onestep_optimizer_call &call) {
  std::string key = rule.name;
  for (bool option : rule.options) key += option ? '1' : '0';
  for (uint64_t i = 0; i < call.tensor_count; i++) {
    key += ' ' + std::to_string(call.tensors[i].elements);
  }
  return key;
}

Status compile_step(const OptimizerRule &rule, const onestep_optimizer_call &call,
                    Handle<OptimizerStep> *out) {
  onestep_device *device = call.queue->device.get();
  auto step = Handle<OptimizerStep>::adopt(
      new OptimizerStep(device, call.queue->places, rule.scalars.size()));
  Graph graph;
  graph.name = rule.name;
  std::vector<std::vector<uint32_t>> new_values(call.tensor_count);
  std::vector<uint32_t> targets;
  for (uint32_t i = 0; i < call.tensor_count; i++) {
    auto size = static_cast<int64_t>(call.tensors[i].elements);
    rule.append(rule, &graph, i, size, &new_values[i]);
    targets.insert(targets.end(), new_values[i].begin(), new_values[i].end());
  }
  LeafContext leaves = leaf_context(graph, rule.scalars.size());
  ExecutableBuilder builder;
  NodeEmitter emitter(builder, graph, leaves);
  ONESTEP_TRY(emitter.emit(targets));
  for (uint32_t i = 0; i < call.tensor_count; i++) {
    uint64_t bytes = call.tensors[i].elements * 4;
    for (uint32_t k = 0; k < new_values[i].size(); k++) {
      uint32_t state = i * kStatesOfTensor + k, value = new_values[i][k];
      builder.result({Source::NewState, state}, emitter.at(value), graph.nodes[value].dims,
                     ONESTEP_F32);
      ONESTEP_TRY(step->bindings.allocate({Source::NewState, state}, bytes));
      step->copies.add({Source::NewState, state}, {Source::State, state}, bytes);
    }
  }
  ONESTEP_TRY(builder.compile(*device, &step->executable));
  ONESTEP_TRY(step->bindings.allocate_in_flight({Source::Scalars}, rule.scalars.size() * 4));
  ONESTEP_TRY(step->executable->link(step->bindings));
  ONESTEP_TRY(step->copies.link(step->bindings));
  *out = std::move(step);
  return ok();
}

Status find_step(const OptimizerRule &rule, const onestep_optimizer_call &call,
                 Handle<OptimizerStep> *out) {
  OptimizerCache &cache = *call.queue->optimizers;
  std::lock_guard<std::mutex> lock(cache.lock);
  std::string key = cache_key(rule, call);
  auto found = cache.steps.find(key);
  if (found != cache.steps.end()) {
    *out = found->second;
    return ok();
  }
  ONESTEP_TRY(compile_step(rule, call, out));
  cache.steps[key] = *out;
  return ok();
}

void keep_buffers(const OptimizerRule &rule, const onestep_optimizer_call &call, Flight &flight) {
  for (uint64_t i = 0; i < call.tensor_count; i++) {
    const onestep_optimizer_tensor &tensor = call.tensors[i];
    flight.buffers.emplace_back(tensor.parameter);
    flight.buffers.emplace_back(tensor.gradient);
    for (uint32_t k = 0; k < rule.states; k++) flight.buffers.emplace_back(tensor.states[k]);
  }
}

}  // namespace

Status run_optimizer(const OptimizerRule &rule, onestep_optimizer_call *call) {
  ONESTEP_TRY(check_call(rule, *call));
  Handle<OptimizerStep> step;
  ONESTEP_TRY(find_step(rule, *call, &step));
  auto run = [&](Commands &commands, Flight &flight) -> Status {
    flight.owner = Handle<Counted>(step.get());
    keep_buffers(rule, *call, flight);
    std::copy(rule.scalars.begin(), rule.scalars.end(),
              static_cast<float *>([step->bindings.at({Source::Scalars}, flight.place) contents]));
    const StepBuffers buffers{nullptr, nullptr, call->tensors};
    const StepContext context{*call->queue->device.get(), flight, buffers};
    MPSCommandBuffer *current = nil;
    ONESTEP_TRY(commands.current(&current));
    ONESTEP_TRY(step->executable->encode(current, context));
    ONESTEP_TRY(commands.current(&current));
    return step->copies.encode(current, context);
  };
  Notice notice{call->on_complete, call->context, call->tag, call->want_ticket != 0};
  Submitted submitted;
  ONESTEP_TRY(call->queue->submit(true, notice, run, &submitted));
  call->serial = submitted.serial;
  call->ticket = submitted.ticket;
  return ok();
}

}  // namespace onestep
