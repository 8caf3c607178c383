#include "run_graph.h"

#include <math.h>
#include <string.h>

namespace {

// The 32-bit words of a state as the elements of an int32 constant.
MPSGraphTensor *state(Case &c, std::vector<uint32_t> words) {
  NSData *data = [NSData dataWithBytes:words.data() length:words.size() * 4];
  return [c.graph() constantWithData:data shape:@[ @7 ] dataType:MPSDataTypeInt32];
}

float uniform(uint32_t bits) { return (float)(bits >> 8) * 0x1p-24f; }

}  // namespace

TEST(known_answers_of_philox) {
  // The known-answer vectors published with Random123 (kat_vectors, philox 4x32 10).
  struct {
    std::vector<uint32_t> state, bits;
  } cases[] = {
      {{1, 0, 0, 0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{1, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{1, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto &k : cases) {
    Case c;
    NSArray *results = [c.graph() randomUniformTensorWithShape:@[ @4 ]
                                                   stateTensor:state(c, k.state)
                                                          name:nil];
    std::vector<float> want;
    for (uint32_t bits : k.bits) want.push_back(uniform(bits));
    CHECK_NEAR(c.run([results objectAtIndex:0]), want, 0);
  }
}

TEST(the_next_state_continues_the_stream) {
  Case c;
  MPSGraphTensor *first = state(c, {1, 5, 1, 2, 3, 42, 43});
  NSArray *long_run = [c.graph() randomUniformTensorWithShape:@[ @3, @4 ]
                                                  stateTensor:first
                                                         name:nil];
  NSArray *part = [c.graph() randomUniformTensorWithShape:@[ @7 ] stateTensor:first name:nil];
  NSArray *rest = [c.graph() randomUniformTensorWithShape:@[ @4 ]
                                              stateTensor:[part objectAtIndex:1]
                                                     name:nil];
  const std::vector<float> all = c.run([long_run objectAtIndex:0]);
  CHECK_NEAR(c.run([part objectAtIndex:0]), std::vector<float>(all.begin(), all.begin() + 7), 0);
  // Seven numbers use two blocks of four.
  CHECK_NEAR(c.run([rest objectAtIndex:0]), std::vector<float>(all.begin() + 8, all.end()), 0);
}

TEST(random_numbers_are_uniform) {
  Case c;
  const size_t count = 100000;
  NSArray *results = [c.graph() randomUniformTensorWithShape:shape_of({(long)count})
                                                 stateTensor:state(c, {1, 0, 1, 2, 3, 4, 5})
                                                        name:nil];
  double mean = 0, variance = 0;
  const std::vector<float> numbers = c.run([results objectAtIndex:0]);
  for (float x : numbers) {
    CHECK(x >= 0 && x < 1);
    mean += (double)x / (double)count;
  }
  for (float x : numbers) variance += ((double)x - mean) * ((double)x - mean) / (double)count;
  // Four standard errors of the mean and of the variance.
  CHECK(fabs(mean - 0.5) < 4 * sqrt(1.0 / 12 / (double)count));
  CHECK(fabs(variance - 1.0 / 12) < 4 * sqrt(1.0 / 180 / (double)count));
}
