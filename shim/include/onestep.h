/*
 * onestep: training steps on Metal through one call a step.
 *
 * A program is one graph of a whole step: forward, loss, backward and what becomes of the state. It is
 * compiled once; after that each step is one call that returns before the work is done. Parameters,
 * optimizer state and running statistics stay on the device. Scalars (the loss, metrics) come back
 * when the device has finished, through a callback or a ticket. The backward pass is written by the
 * caller, or by onestep_graph_differentiate.
 *
 * Conventions
 * - Every handle is opaque. What a function gives through an `out` pointer belongs to the caller,
 *   who releases it with the `release` function of its type; release accepts NULL.
 * - A handle that is passed in is only borrowed; what the library needs for longer it retains, so
 *   a caller may release a handle at any time, in any order.
 * - A call returns NULL on success, else an owned status: see onestep_status_release. There is no
 *   global error, no exception leaves a call, and no mistake of the caller ends the process.
 * - Structs and arrays that a call is given are read during that call alone. The caller may free them
 *   or write something else into them as soon as it returns, though the step that it submitted is
 *   still in flight. Only what lies in buffers is used until the step is done.
 * - A call with many arguments takes one struct, inputs first and then those marked `out`.
 *   `struct_bytes` is the size of the struct; a size that this library does not know is refused.
 *   Reserved fields are 0.
 * - All sizes are in bytes unless named `elements`. Tensors are contiguous, row-major.
 * - Handles may be used from any thread. Steps of one queue run in the order of their calls.
 */
#ifndef ONESTEP_H
#define ONESTEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface; see onestep_abi_version. */
#define ONESTEP_ABI_VERSION 2
/* The most axes of a tensor. */
#define ONESTEP_MAX_RANK 6
/* Integer attributes of a node. */
#define ONESTEP_NODE_INTS 24
/* Float attributes of a node. */
#define ONESTEP_NODE_FLOATS 2
/* The most scalars that a step reports. */
#define ONESTEP_MAX_REPORTS 16
/* The most kinds of optimizer state of one tensor in the optimizer calls. */
#define ONESTEP_MAX_OPTIMIZER_STATES 4
/* Stands for "no value" where a node's index is optional. */
#define ONESTEP_NO_VALUE UINT32_MAX

/* A GPU. */
typedef struct onestep_device onestep_device;
/* Device memory. */
typedef struct onestep_buffer onestep_buffer;
/* An ordered queue of steps with a bounded number in flight. */
typedef struct onestep_queue onestep_queue;
/* A compiled program, bound to a queue and to the buffers of its state. */
typedef struct onestep_program onestep_program;
/* A claim on the scalars of one step. */
typedef struct onestep_ticket onestep_ticket;
/* The backward pass of a graph. */
typedef struct onestep_derivative onestep_derivative;
/* Why a call failed. */
typedef struct onestep_status onestep_status;

/* ---- Enumerations. Struct fields hold them as fixed-size integers. ---- */

/* What went wrong. */
typedef enum onestep_code {
  ONESTEP_OK = 0,
  /* An argument that cannot be right: a null pointer, a wrong count, size or index. */
  ONESTEP_INVALID_ARGUMENT = 1,
  /* The device or the host has not enough memory. */
  ONESTEP_OUT_OF_MEMORY = 2,
  /* There is no such device, or this build has none. */
  ONESTEP_NO_DEVICE = 3,
  /* Right in itself, but not offered here: a dtype, a rank, an op of this system's version. */
  ONESTEP_UNSUPPORTED = 4,
  /* The platform's compiler refused a program. */
  ONESTEP_COMPILE_FAILED = 5,
  /* The device reported an error while it ran a step: lost, timed out, a fault. */
  ONESTEP_DEVICE_ERROR = 6,
  /* An earlier step failed; see onestep_queue_recover. */
  ONESTEP_POISONED = 7,
  /* An exception of the platform or a defect of this library. */
  ONESTEP_INTERNAL = 8,
  /* A wait ended before the step did. */
  ONESTEP_TIMED_OUT = 9
} onestep_code;

/* Element types. */
typedef enum onestep_dtype {
  ONESTEP_F32 = 0,
  ONESTEP_F16 = 1,
  ONESTEP_BF16 = 2, /* macOS 14 and later */
  ONESTEP_I32 = 3,
  ONESTEP_U8 = 4
} onestep_dtype;

/* Where a buffer lies. */
typedef enum onestep_storage {
  /* Seen by the host too: onestep_buffer_contents is not NULL. */
  ONESTEP_STORAGE_SHARED = 0,
  /* Only seen by the device; read and written through a staging copy that waits. */
  ONESTEP_STORAGE_PRIVATE = 1
} onestep_storage;

/* What a program is for. */
typedef enum onestep_mode {
  /* A step that changes state. */
  ONESTEP_TRAIN = 0,
  /* Whatever is reported and put out, without any change of state. */
  ONESTEP_INFER = 1
} onestep_mode;

/* How convolutions run. */
typedef enum onestep_convolution_path {
  /* In the compiled MPSGraph. */
  ONESTEP_CONVOLUTION_GRAPH = 0,
  /* Through MPSCNNConvolution and its gradients, for systems on which the graph's own aborts. A
   * gradient goes along with the convolution whose operands and window it has; what has none stays in
   * the graph. */
  ONESTEP_CONVOLUTION_HYBRID = 1
} onestep_convolution_path;

/* The ops of a graph, each once: OP(name, code, least inputs, most inputs). The enum below, the names,
 * the library's own tables and the codes of the Rust bindings are all made from this list. Codes are
 * part of the ABI: a number is never given to another op. `i` and `f` are the `ints` and `floats` of
 * an onestep_node; what is not named is ignored. The meaning of each op is that of
 * onestep_engine::ops. The codes 1, 5 and 6 were leaves of an earlier version. */
#define ONESTEP_OPS(OP)                                                                            \
  /* Leaves. A rank of 0 is allowed everywhere. */                                                 \
  OP(FEED, 0, 0, 0) /* i0: index among the feeds of a step */                                      \
  OP(STATE, 2, 0, 0) /* i0: index among the program's states, i1: first element in its buffer */   \
  OP(SCALAR, 3, 0, 0) /* i0: index among the scalars of a step; f32 [] */                          \
  OP(CONSTANT, 4, 0, 0) /* data: the elements */                                                   \
  OP(RANDOM_UNIFORM, 7, 0, 0) /* i0: stream; numbers in [0, 1) keyed by (seed, step) */            \
                                                                                                   \
  /* Elementwise, one operand, f32. */                                                             \
  OP(NEG, 16, 1, 1)                                                                                \
  OP(ABS, 17, 1, 1)                                                                                \
  OP(SIGN, 18, 1, 1)                                                                               \
  OP(FLOOR, 19, 1, 1)                                                                              \
  OP(EXP, 20, 1, 1)                                                                                \
  OP(EXPM1, 21, 1, 1)                                                                              \
  OP(LOG, 22, 1, 1)                                                                                \
  OP(LOG1P, 23, 1, 1)                                                                              \
  OP(SQRT, 24, 1, 1)                                                                               \
  OP(RSQRT, 25, 1, 1)                                                                              \
  OP(RECIPROCAL, 26, 1, 1)                                                                         \
  OP(SIN, 27, 1, 1)                                                                                \
  OP(COS, 28, 1, 1)                                                                                \
  OP(TANH, 29, 1, 1)                                                                               \
  OP(SIGMOID, 30, 1, 1)                                                                            \
  OP(ERF, 31, 1, 1)                                                                                \
  OP(RELU, 32, 1, 1)                                                                               \
                                                                                                   \
  /* Elementwise, operands of one shape, f32. Comparisons give 1 or 0. */                          \
  OP(ADD, 48, 2, 2)                                                                                \
  OP(SUB, 49, 2, 2)                                                                                \
  OP(MUL, 50, 2, 2)                                                                                \
  OP(DIV, 51, 2, 2)                                                                                \
  OP(MAX, 52, 2, 2)                                                                                \
  OP(MIN, 53, 2, 2)                                                                                \
  OP(POW, 54, 2, 2)                                                                                \
  OP(EQ, 64, 2, 2)                                                                                 \
  OP(NE, 65, 2, 2)                                                                                 \
  OP(LT, 66, 2, 2)                                                                                 \
  OP(LE, 67, 2, 2)                                                                                 \
  OP(GT, 68, 2, 2)                                                                                 \
  OP(GE, 69, 2, 2)                                                                                 \
  OP(SELECT, 70, 3, 3) /* condition != 0 ? a : b */                                                \
  OP(CAST, 71, 1, 1) /* to the node's dtype */                                                     \
                                                                                                   \
  /* Reductions; reduced axes stay as 1, except for ARGMAX. */                                     \
  OP(REDUCE_SUM, 80, 1, 1) /* i0: number of axes, i1...: the axes */                               \
  OP(REDUCE_MAX, 81, 1, 1) /* as REDUCE_SUM */                                                     \
  OP(REDUCE_MIN, 82, 1, 1) /* as REDUCE_SUM */                                                     \
  OP(ARGMAX, 83, 1, 1) /* i0: axis, removed from the shape; i32 */                                 \
                                                                                                   \
  /* Movement. The target shape is the node's own. */                                              \
  OP(RESHAPE, 96, 1, 1)                                                                            \
  OP(PERMUTE, 97, 1, 1) /* i0...: axis k of the result is axis i[k] of the operand */              \
  OP(BROADCAST, 98, 1, 1) /* axes aligned at the right */                                          \
  OP(SLICE, 99, 1, 1) /* i0..i5: first index, i6..i11: one past the last index */                  \
  OP(CONCAT, 100, 1, 4096) /* i0: axis */                                                          \
  OP(PAD, 101, 1, 1) /* i0..i5: before, i6..i11: behind each axis, f0: value */                    \
  OP(GATHER, 102, 2, 2) /* table [rows, ...], indices i32 */                                       \
  OP(SCATTER_ADD, 103, 2, 2) /* indices i32, updates; rows are the node's first axis */            \
                                                                                                   \
  /* Linear algebra and windows, f32. A pair is vertical, horizontal. */                           \
  OP(MATMUL, 112, 2, 2) /* i0: left operand transposed, i1: right one */                           \
  OP(CONV, 113, 2, 2) /* i0,1: stride, i2,3: pad before, i4,5: pad behind, */                      \
    /* i6,7: dilation, i8: groups. NCHW, weights OIHW */                                           \
  OP(CONV_INPUT_GRAD, 114, 2, 2) /* dy, weight; window as CONV; dx has the node's shape */         \
  OP(CONV_WEIGHT_GRAD, 115, 2, 2) /* x, dy; window as CONV; dw has the node's shape */             \
  OP(MAX_POOL, 116, 1, 1) /* i0,1: size, i2,3: stride, i4,5: pad before, */                        \
    /* i6,7: pad behind, i8,9: dilation */                                                         \
  OP(MAX_POOL_GRAD, 117, 2, 2) /* x, dy; window as MAX_POOL */                                     \
  OP(SUM_POOL, 118, 1, 1) /* window as MAX_POOL */                                                 \
  OP(SUM_POOL_GRAD, 119, 1, 1) /* dy; window as MAX_POOL; dx has the node's shape */               \
                                                                                                   \
  /* Rows: the last axis. */                                                                       \
  OP(SOFTMAX, 128, 1, 1)                                                                           \
  OP(LOG_SOFTMAX, 129, 1, 1)                                                                       \
  OP(CROSS_ENTROPY, 130, 2, 2) /* logits [n, c], labels i32 [n]; f0: label smoothing */            \
  OP(CROSS_ENTROPY_GRAD, 131, 3, 3) /* logits, labels, dy [n]; f0: label smoothing */

/* ONESTEP_OP_ADD and so on. */
typedef enum onestep_op {
#define ONESTEP_OP_CODE(name, code, least, most) ONESTEP_OP_##name = code,
  ONESTEP_OPS(ONESTEP_OP_CODE)
#undef ONESTEP_OP_CODE
  ONESTEP_OP_NONE = 0x7fffffff
} onestep_op;

/* ---- Versions, names and statuses ---- */

/* ONESTEP_ABI_VERSION of the library that is linked. */
uint32_t onestep_abi_version(void);

/* The name of an op code, such as "ADD", or NULL. The text is static. */
const char *onestep_op_name(uint32_t op);

/* The code of a status; ONESTEP_OK for NULL. */
int32_t onestep_status_code(const onestep_status *status);

/* What happened, for people, in UTF-8. It lives as long as the status; "" for NULL. */
const char *onestep_status_message(const onestep_status *status);

/* Releases a status. */
void onestep_status_release(onestep_status *status);

/* ---- Devices ---- */

/* What a device is and can. */
typedef struct onestep_device_info {
  uint64_t struct_bytes;
  /* out: its name in UTF-8, cut to fit, ending in a zero. */
  char name[128];
  /* out: the largest buffer. */
  uint64_t max_buffer_bytes;
  /* out: how much a process should use in all. */
  uint64_t recommended_bytes;
  /* out: how much this process has allocated on the device. */
  uint64_t allocated_bytes;
  /* out: 1 where host and device share memory. */
  uint32_t unified_memory;
  /* out: 1 where bf16 is supported. */
  uint32_t supports_bf16;
} onestep_device_info;

/* What was done on a device since it was opened, by all its queues. In steady state a training
 * step adds 1 native call, 1 command buffer and 1 encode (more only where steps are split or
 * convolutions run outside of the graph), and nothing else. */
typedef struct onestep_statistics {
  uint64_t struct_bytes;
  /* out: calls of onestep_execute_*, onestep_*_step and onestep_queue_copy. */
  uint64_t native_calls;
  /* out: command buffers committed. */
  uint64_t command_buffers;
  /* out: compiled graphs and kernels of the hybrid path encoded; blits are not among them. */
  uint64_t encodes;
  /* out: times that a caller was blocked: for a free place in flight or for a result. */
  uint64_t waits;
  /* out: copies between host and device memory by the host. Scalars of a step are not among them. */
  uint64_t host_copies;
  /* out: buffers and images asked of Metal. */
  uint64_t metal_allocations;
  /* out: graphs compiled. */
  uint64_t compilations;
  /* out: steps in flight now. */
  uint64_t in_flight;
  /* out: the most steps that were in flight at one time. */
  uint64_t in_flight_peak;
} onestep_statistics;

/* How many devices there are. */
onestep_status *onestep_device_count(uint32_t *out_count);

/* Opens a device; 0 is the system's default. The caller releases it with onestep_device_release. */
onestep_status *onestep_device_open(uint32_t index, onestep_device **out_device);

/* Releases a device. Its memory and queues live on until they are released too. */
void onestep_device_release(onestep_device *device);

/* Describes a device. */
onestep_status *onestep_device_get_info(const onestep_device *device, onestep_device_info *info);

/* Counts what was done so far. */
onestep_status *onestep_device_get_statistics(const onestep_device *device,
                                              onestep_statistics *statistics);

/* ---- Buffers ----
 * Reading, writing and filling do not look at steps in flight: the caller makes sure that none
 * uses the buffer, for instance with onestep_queue_wait_idle. */

/* Allocates a buffer of at least one byte with unspecified contents. `storage` is an
 * onestep_storage. The caller releases it with onestep_buffer_release. */
onestep_status *onestep_buffer_create(onestep_device *device, uint64_t bytes, uint32_t storage,
                                      onestep_buffer **out_buffer);

/* Releases a buffer. Steps in flight keep what they use. */
void onestep_buffer_release(onestep_buffer *buffer);

/* The size that was asked for, however much the device gave; 0 for NULL. */
uint64_t onestep_buffer_bytes(const onestep_buffer *buffer);

/* The onestep_storage of a buffer. */
uint32_t onestep_buffer_storage(const onestep_buffer *buffer);

/* The host's view of a shared buffer, valid as long as the buffer; NULL for a private one. */
void *onestep_buffer_contents(onestep_buffer *buffer);

/* Copies `bytes` from `data` to the buffer from `offset` on. */
onestep_status *onestep_buffer_write(onestep_buffer *buffer, uint64_t offset, const void *data,
                                     uint64_t bytes);

/* Copies `bytes` of the buffer from `offset` on to `data`. */
onestep_status *onestep_buffer_read(onestep_buffer *buffer, uint64_t offset, void *data,
                                    uint64_t bytes);

/* Sets `bytes` of the buffer from `offset` on to `value`. */
onestep_status *onestep_buffer_fill(onestep_buffer *buffer, uint64_t offset, uint64_t bytes,
                                    uint8_t value);

/* ---- Queues ---- */

/* Called once for each step whose call succeeded, on a thread of the platform, in the order of the
 * steps. `context` and `tag` are those of the call. `code` is an onestep_code; `message` and `values`
 * (the program's reports) live only during the call; there are no values unless
 * `code` is ONESTEP_OK. The function must neither block nor unwind, and must not call functions that
 * wait. */
typedef void (*onestep_completion)(void *context, uint64_t tag, int32_t code,
                                   const char *message, const float *values, uint64_t value_count);

/* Creates a queue that lets `in_flight` steps be in flight (1 to 16; 0 means 3); a further step's
 * call waits. The caller releases it with onestep_queue_release. */
onestep_status *onestep_queue_create(onestep_device *device, uint32_t in_flight,
                                     onestep_queue **out_queue);

/* Releases a queue. Steps in flight are finished. */
void onestep_queue_release(onestep_queue *queue);

/* Waits until no step is in flight. A failed step is no error here. */
onestep_status *onestep_queue_wait_idle(onestep_queue *queue);

/* After a training or optimizer step has failed on the device, the state it should have written is
 * unknown, so all further steps of the queue are refused with ONESTEP_POISONED. The caller restores
 * the state and then declares the queue good again with this call, which waits for steps in
 * flight. */
onestep_status *onestep_queue_recover(onestep_queue *queue);

/* One copy by the device. */
typedef struct onestep_copy {
  onestep_buffer *source;
  uint64_t source_offset;
  onestep_buffer *target;
  uint64_t target_offset;
  uint64_t bytes;
} onestep_copy;

/* Copies between buffers by the device, in order with the queue's steps: how staging memory gets to
 * private memory without the host. Offsets and sizes are multiples of 4. */
typedef struct onestep_copy_args {
  uint64_t struct_bytes;
  onestep_queue *queue;
  const onestep_copy *copies;
  uint64_t copy_count;
  /* Optional; `context` and `tag` are handed to it. */
  onestep_completion on_complete;
  void *context;
  uint64_t tag;
  /* 1: give a ticket. */
  uint32_t want_ticket;
  uint32_t reserved;
  /* out: the number of the call on its queue, from 0. */
  uint64_t serial;
  /* out: owned; released with onestep_ticket_release. */
  onestep_ticket *ticket;
} onestep_copy_args;

/* Submits copies. */
onestep_status *onestep_queue_copy(onestep_copy_args *args);

/* ---- Programs ---- */

/* One value of a graph and the op that makes it. */
typedef struct onestep_node {
  /* onestep_op */
  uint32_t op;
  /* onestep_dtype of the result */
  uint32_t dtype;
  uint32_t rank;
  uint32_t input_count;
  /* The shape of the result; entries behind `rank` are ignored. No axis is 0. */
  int64_t dims[ONESTEP_MAX_RANK];
  /* Indices of nodes that come before this one; read while the program is compiled. */
  const uint32_t *inputs;
  /* Attributes: see ONESTEP_OPS. */
  int64_t ints[ONESTEP_NODE_INTS];
  double floats[ONESTEP_NODE_FLOATS];
  /* The elements of a CONSTANT; read while the program is compiled. */
  const void *data;
  uint64_t data_bytes;
} onestep_node;

/* A graph in SSA form: node i defines value i. onestep_program_compile copies what it needs of the
 * nodes, of their `inputs` and of their `data`: all three must be valid until it returns, and may be
 * freed or used again for another graph from then on. onestep_graph.h writes graphs and works out the
 * shapes. */
typedef struct onestep_graph {
  const onestep_node *nodes;
  uint64_t node_count;
} onestep_graph;

/* A buffer that is kept between steps: parameters, what an optimizer keeps, a running mean. Nothing of
 * it changes before all of a step has read it: new contents go to memory of the program's own and are
 * copied at the end of the step, in the same command buffer. */
typedef struct onestep_state {
  /* f32. Retained by the program. */
  onestep_buffer *buffer;
  /* The f32 value of the graph that it becomes in a training step, from its first element on, or
   * ONESTEP_NO_VALUE. */
  uint32_t new_value;
  uint32_t reserved;
} onestep_state;

/* A value of the graph that can be read after a step. */
typedef struct onestep_output {
  /* Where it goes; NULL lets the program allocate a shared buffer. Retained by the program. */
  onestep_buffer *buffer;
  uint32_t value;
  uint32_t reserved;
} onestep_output;

typedef struct onestep_program_args {
  uint64_t struct_bytes;
  /* Retained by the program. */
  onestep_queue *queue;
  /* The whole step. */
  const onestep_graph *graph;
  const onestep_state *states;
  uint64_t state_count;
  const onestep_output *outputs;
  uint64_t output_count;
  /* f32 scalars of the graph that come back from each step, the loss first. */
  const uint32_t *reports;
  uint64_t report_count;
  /* How many buffers and scalars a step takes. */
  uint64_t feed_count;
  uint64_t scalar_count;
  /* A step whose work is above this is split over several command buffers, so that a display's
   * watchdog does not end it; 0: never. */
  uint64_t flops_per_command_buffer;
  /* onestep_mode */
  uint32_t mode;
  /* onestep_convolution_path */
  uint32_t convolution_path;
  /* out: owned; released with onestep_program_release. */
  onestep_program *program;
} onestep_program_args;

/* What a compiled program takes. */
typedef struct onestep_program_info {
  uint64_t struct_bytes;
  /* out: device memory that the program owns; what the platform's compiler plans inside a compiled
   * graph is not known. */
  uint64_t bytes;
  /* out: an estimate of the floating-point operations of a step. */
  uint64_t flops;
  /* out: compiled graphs and kernels encoded by a step. */
  uint32_t encodes_per_step;
  /* out: command buffers committed by a step. */
  uint32_t command_buffers_per_step;
  /* out: scalars that a step reports. */
  uint32_t report_count;
  /* out: convolutions that run through the hybrid path. */
  uint32_t hybrid_convolutions;
} onestep_program_info;

/* Checks and compiles a program. It keeps no pointer into `args` or anything that they point to except
 * the handles, which it retains. Everything that the platform's compiler would abort on and that
 * can be seen from the description is refused with a status. */
onestep_status *onestep_program_compile(onestep_program_args *args);

/* Releases a program. Its steps in flight are finished. */
void onestep_program_release(onestep_program *program);

/* Describes a program. */
onestep_status *onestep_program_get_info(const onestep_program *program,
                                         onestep_program_info *info);

/* The program's own buffer of an output, by its position in the args. The caller releases it with
 * onestep_buffer_release. */
onestep_status *onestep_program_output(onestep_program *program, uint64_t index,
                                       onestep_buffer **out_buffer);

/* ---- Differentiation ---- */

typedef struct onestep_differentiate_args {
  uint64_t struct_bytes;
  /* A graph with its loss. */
  const onestep_graph *graph;
  /* The f32 values of the graph in which the loss is differentiated, such as the STATE leaves that
   * are learned. */
  const uint32_t *values;
  uint64_t value_count;
  /* The f32 scalar to differentiate. */
  uint32_t loss;
  uint32_t reserved;
  /* out: for each value the number of its gradient; room for `value_count`. A value on which the loss
   * does not depend has a gradient of zeros. */
  uint32_t *gradients;
  /* out: owned; released with onestep_derivative_release. */
  onestep_derivative *derivative;
} onestep_differentiate_args;

/* Writes the backward pass of a graph: nodes that continue it, so that the first of them is value
 * `graph->node_count`. The gradients are those of onestep_engine. ONESTEP_UNSUPPORTED names an op on
 * the way that has no gradient. onestep_write_gradients (onestep_graph.h) appends them at once. */
onestep_status *onestep_graph_differentiate(onestep_differentiate_args *args);

/* The nodes of a backward pass. They and what they point to live as long as the derivative. */
onestep_status *onestep_derivative_nodes(const onestep_derivative *derivative,
                                         onestep_graph *out_nodes);

/* Releases a derivative. */
void onestep_derivative_release(onestep_derivative *derivative);

/* ---- Steps ---- */

typedef struct onestep_step_args {
  uint64_t struct_bytes;
  onestep_program *program;
  /* One buffer for each feed, contiguous from its first byte; kept until the step is done. The host
   * must not write them before that. */
  onestep_buffer *const *feeds;
  uint64_t feed_count;
  /* One number for each scalar, copied. */
  const float *scalars;
  uint64_t scalar_count;
  /* The keys of the step's random numbers. */
  uint64_t seed;
  uint64_t step;
  /* Where the outputs go instead of the program's own buffers, or NULL; kept until done. */
  onestep_buffer *const *outputs;
  uint64_t output_count;
  /* Optional; `context` and `tag` are handed to it. */
  onestep_completion on_complete;
  void *context;
  uint64_t tag;
  /* 1: give a ticket. */
  uint32_t want_ticket;
  uint32_t reserved;
  /* out: the number of the call on its queue, from 0. */
  uint64_t serial;
  /* out: owned; released with onestep_ticket_release. */
  onestep_ticket *ticket;
} onestep_step_args;

/* Submits one step of a program compiled with ONESTEP_TRAIN. It returns before the work is done,
 * and waits only while the queue has all its places in flight taken. On failure nothing was
 * submitted and the callback is not called. */
onestep_status *onestep_execute_training_step(onestep_step_args *args);

/* Submits one step of a program compiled with ONESTEP_INFER; as above. */
onestep_status *onestep_execute_inference(onestep_step_args *args);

/* ---- Optimizer steps ----
 * For native programs that hold their own gradients. The formulas are PyTorch's. The graph of a set
 * of lengths and options is compiled at the first call and kept by the queue; learning rate and step
 * number are inputs of it. New parameters and states are computed into memory of the queue's own and
 * copied to their buffers in the same command buffer; states begin at 0. */

typedef struct onestep_optimizer_tensor {
  /* f32, `elements` long; updated. */
  onestep_buffer *parameter;
  /* f32, `elements` long; only read. */
  onestep_buffer *gradient;
  /* f32, `elements` long; updated. Which are there is said at each optimizer; the rest is NULL. */
  onestep_buffer *states[ONESTEP_MAX_OPTIMIZER_STATES];
  uint64_t elements;
} onestep_optimizer_tensor;

/* What all optimizer calls have in common. */
typedef struct onestep_optimizer_call {
  onestep_queue *queue;
  const onestep_optimizer_tensor *tensors;
  uint64_t tensor_count;
  /* The number of the step, from 1. */
  uint64_t step;
  /* Optional; `context` and `tag` are handed to it. */
  onestep_completion on_complete;
  void *context;
  uint64_t tag;
  double lr;
  double weight_decay;
  /* 1: give a ticket. */
  uint32_t want_ticket;
  uint32_t reserved;
  /* out: the number of the call on its queue, from 0. */
  uint64_t serial;
  /* out: owned; released with onestep_ticket_release. */
  onestep_ticket *ticket;
} onestep_optimizer_call;

/* SGD. states: momentum_buffer where momentum is not 0. */
typedef struct onestep_sgd_args {
  uint64_t struct_bytes;
  onestep_optimizer_call call;
  double momentum;
  double dampening;
  uint32_t nesterov;
  uint32_t reserved;
} onestep_sgd_args;

/* Adam and AdamW. states: exp_avg, exp_avg_sq and, with amsgrad, max_exp_avg_sq. */
typedef struct onestep_adam_args {
  uint64_t struct_bytes;
  onestep_optimizer_call call;
  double beta1;
  double beta2;
  double eps;
  /* 1: AdamW, whose weight decay does not pass through the moments. */
  uint32_t decoupled_weight_decay;
  uint32_t amsgrad;
} onestep_adam_args;

/* RMSprop. states: square_avg, then momentum_buffer where momentum is not 0, then grad_avg with
 * centered. */
typedef struct onestep_rmsprop_args {
  uint64_t struct_bytes;
  onestep_optimizer_call call;
  double alpha;
  double eps;
  double momentum;
  uint32_t centered;
  uint32_t reserved;
} onestep_rmsprop_args;

onestep_status *onestep_sgd_step(onestep_sgd_args *args);
onestep_status *onestep_adam_step(onestep_adam_args *args);
onestep_status *onestep_rmsprop_step(onestep_rmsprop_args *args);

/* ---- Tickets ---- */

/* What a step reported. */
typedef struct onestep_ticket_result {
  uint64_t struct_bytes;
  /* out: the number of the call on its queue. */
  uint64_t serial;
  /* out: 1 once the step is done. */
  uint32_t done;
  /* out: how many values there are. */
  uint32_t value_count;
  /* out: the program's reports. */
  float values[ONESTEP_MAX_REPORTS];
} onestep_ticket_result;

/* Looks at a step without waiting. A step that failed gives its error. */
onestep_status *onestep_ticket_poll(onestep_ticket *ticket, onestep_ticket_result *result);

/* Waits for a step, at most `timeout_ms` milliseconds; UINT64_MAX waits without a limit. A step
 * that failed gives its error. */
onestep_status *onestep_ticket_wait(onestep_ticket *ticket, uint64_t timeout_ms,
                                    onestep_ticket_result *result);

/* Releases a ticket. The step goes on. */
void onestep_ticket_release(onestep_ticket *ticket);

#ifdef __cplusplus
}
#endif

#endif /* ONESTEP_H */
