// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#include "ops.h"

#include "runtime.h"

namespace headless {
namespace {

// The state, in the layout that PyTorch's MPS backend gives to MPSGraph (Apple documents none): a
// word that is 1, a counter of four words, a key of two.
enum : int64_t { kStateSize = 7, kCounterAt = 1, kKeyAt = 5 };

struct Block {
  uint32_t words[4];
};

Block philox(const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k[0], (uint32_t)p1,
                              (uint32_t)(p0 >> 32) ^ c[3] ^ k[1], (uint32_t)p0};
    memcpy(c, next, sizeof c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

// Element i is word i % 4 of the block whose counter is the state's, the first word raised by i
// / 4.
template <class T>
void evaluate_uniform(const Array &state, Array &out) {
  const uint32_t *base = state.data<uint32_t>() + kCounterAt;
  const uint32_t *key = state.data<uint32_t>() + kKeyAt;
  for (int64_t i = 0; i < out.count(); i += 4) {
    const uint32_t counter[4] = {base[0] + (uint32_t)(i / 4), base[1], base[2], base[3]};
    const Block block = philox(counter, key);
    for (int64_t k = 0; k < 4 && i + k < out.count(); ++k) {
      out.data<T>()[i + k] =
          T((Compute<T>)((float)(block.words[k] >> 8) * 0x1p-24f));  // 24 bits, in [0, 1)
    }
  }
}

void evaluate_next_state(int64_t count, const Array &state, Array &out) {
  memcpy(out.memory.get(), state.memory.get(), out.bytes());
  out.data<uint32_t>()[kCounterAt] += (uint32_t)((count + 3) / 4);
}

Nodes random_uniform(Node *state, const Shape &shape) {
  if (state->type.shape != Shape{kStateSize} || state->type.dtype != MPSDataTypeInt32) {
    fail_op("random_uniform", "the state must be " + text(Type{{kStateSize}, MPSDataTypeInt32}) +
                                  ", got " + text(state->type));
  }
  auto numbers = [](const Arrays &in, Array &out) { evaluate_uniform<float>(in[0], out); };
  const int64_t count = elements(shape);
  auto next = [count](const Arrays &in, Array &out) { evaluate_next_state(count, in[0], out); };
  return {
      state->graph->add({"random_uniform", numbers}, {state}, {shape, MPSDataTypeFloat32}),
      state->graph->add({"random_state", next}, {state}, state->type)};
}

}  // namespace
}  // namespace headless

using namespace headless;

@implementation MPSGraph (MPSGraphRandomOps)
- (NSArray<MPSGraphTensor *> *)randomUniformTensorWithShape:(MPSShape *)shape
                                                stateTensor:(MPSGraphTensor *)state
                                                       name:(NSString *)name {
  const Nodes results = random_uniform(node_of(state), shape_from(shape));
  return [NSArray arrayWithObjects:tensor_of(results[0]), tensor_of(results[1]), nil];
}
@end
