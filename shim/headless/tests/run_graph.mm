#include "run_graph.h"

#include <math.h>
#include <string.h>

MPSShape *shape_of(const std::vector<long> &sizes) {
  NSMutableArray<NSNumber *> *shape = [NSMutableArray array];
  for (long size : sizes) [shape addObject:[NSNumber numberWithLong:size]];
  return shape;
}

MPSShape *shape_of(std::initializer_list<long> sizes) { return shape_of(std::vector<long>(sizes)); }

static size_t element_size(MPSDataType dtype) { return (dtype & 0xff) / 8; }

std::vector<float> read_elements(const void *bytes, MPSDataType dtype, size_t count) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    const unsigned char *at = (const unsigned char *)bytes + i * element_size(dtype);
    switch (dtype) {
      case MPSDataTypeFloat32: memcpy(&numbers[i], at, 4); break;
      case MPSDataTypeInt32: numbers[i] = (float)*(const int32_t *)at; break;
      case MPSDataTypeInt64: numbers[i] = (float)*(const int64_t *)at; break;
      case MPSDataTypeFloat16: numbers[i] = (float)*(const _Float16 *)at; break;
      case MPSDataTypeBFloat16: {
        const uint32_t bits = (uint32_t)(at[0] | at[1] << 8) << 16;
        memcpy(&numbers[i], &bits, 4);
        break;
      }
      default: numbers[i] = *at;
    }
  }
  return numbers;
}

std::vector<unsigned char> to_bytes(const Values &values) {
  const size_t size = element_size(values.dtype);
  std::vector<unsigned char> bytes(values.numbers.size() * size);
  for (size_t i = 0; i < values.numbers.size(); ++i) {
    unsigned char *at = bytes.data() + i * size;
    const float number = values.numbers[i];
    switch (values.dtype) {
      case MPSDataTypeFloat32: memcpy(at, &number, 4); break;
      case MPSDataTypeInt32: *(int32_t *)at = (int32_t)number; break;
      case MPSDataTypeInt64: *(int64_t *)at = (int64_t)number; break;
      case MPSDataTypeFloat16: *(_Float16 *)at = (_Float16)number; break;
      case MPSDataTypeBFloat16:
        memcpy(at, (const unsigned char *)&number + 2, 2);
        break;  // exact numbers only
      default: *at = (unsigned char)number;
    }
  }
  return bytes;
}

Case::Case()
    : device_(MTLCreateSystemDefaultDevice()),
      queue_([device_ newCommandQueue]),
      graph_([MPSGraph new]) {}

Case::~Case() {
  [graph_ release];
  [queue_ release];
  [device_ release];
}

MPSGraphTensor *Case::input(const Values &values) {
  MPSGraphTensor *tensor = [graph_ placeholderWithShape:shape_of(values.shape)
                                               dataType:values.dtype
                                                   name:nil];
  inputs_.push_back(tensor);
  values_.push_back(values);
  return tensor;
}

MPSGraphTensor *Case::input(std::initializer_list<long> shape, std::vector<float> numbers) {
  return input({shape, std::move(numbers)});
}

MPSGraphTensor *Case::integers(std::initializer_list<long> shape, std::vector<float> numbers) {
  return input({shape, std::move(numbers), MPSDataTypeInt32});
}

static size_t count_of(MPSGraphTensor *tensor) {
  size_t count = 1;
  for (NSNumber *size in [tensor shape]) count *= [size unsignedLongValue];
  return count;
}

std::vector<float> Case::run(MPSGraphTensor *target) {
  return run_all([NSArray arrayWithObjects:target, nil])[0];
}

std::vector<std::vector<float>> Case::run_all(NSArray<MPSGraphTensor *> *targets) {
  NSMutableDictionary *feeds = [NSMutableDictionary dictionary];
  NSMutableDictionary *data = [NSMutableDictionary dictionary];
  NSMutableArray *buffers = [NSMutableArray array];
  for (size_t i = 0; i < inputs_.size(); ++i) {
    MPSShape *shape = shape_of(values_[i].shape);
    const std::vector<unsigned char> bytes = to_bytes(values_[i]);
    id<MTLBuffer> buffer = [[device_ newBufferWithBytes:bytes.data()
                                                 length:bytes.size()
                                                options:MTLResourceStorageModeShared] autorelease];
    [buffers addObject:buffer];
    [feeds setObject:[[[MPSGraphShapedType alloc] initWithShape:shape
                                                       dataType:values_[i].dtype] autorelease]
              forKey:inputs_[i]];
    [data setObject:[[[MPSGraphTensorData alloc] initWithMTLBuffer:buffer
                                                             shape:shape
                                                          dataType:values_[i].dtype] autorelease]
             forKey:inputs_[i]];
  }
  MPSGraphDevice *graph_device = [MPSGraphDevice deviceWithMTLDevice:device_];
  MPSGraphExecutable *executable = [graph_ compileWithDevice:graph_device
                                                       feeds:feeds
                                               targetTensors:targets
                                            targetOperations:nil
                                       compilationDescriptor:nil];
  NSMutableArray *inputs = [NSMutableArray array];
  for (MPSGraphTensor *feed in [executable feedTensors])
    [inputs addObject:[data objectForKey:feed]];
  NSArray<MPSGraphTensorData *> *results = [executable runWithMTLCommandQueue:queue_
                                                                  inputsArray:inputs
                                                                 resultsArray:nil
                                                          executionDescriptor:nil];
  std::vector<std::vector<float>> numbers;
  for (NSUInteger i = 0; i < [results count]; ++i) {
    MPSGraphTensor *target = [targets objectAtIndex:i];
    std::vector<unsigned char> bytes(count_of(target) * element_size([target dataType]));
    [[[results objectAtIndex:i] mpsndarray] readBytes:bytes.data() strideBytes:nil];
    numbers.push_back(read_elements(bytes.data(), [target dataType], count_of(target)));
  }
  return numbers;
}
