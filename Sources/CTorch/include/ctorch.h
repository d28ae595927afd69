// The C face of libtorch that Swift sees: tensors as opaque handles, every ATen operator through one call,
// autograd switches, generators, devices. No C++ type and no exception crosses this line.
//
// A function that fails returns NULL, -1 or false, and `wb_last_error()` says why, on the calling thread.
// A returned handle is owned by the caller and is given back with the matching `_release`.
#ifndef WIDEBAND_CTORCH_H
#define WIDEBAND_CTORCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wb_tensor wb_tensor;
typedef struct wb_operator wb_operator;
typedef struct wb_generator wb_generator;

// Errors.

/// The message of the last failure on this thread; valid until the next failure.
const char *wb_last_error(void);

// Operators.

typedef enum wb_argument_kind {
  WB_NONE = 0,
  WB_TENSOR = 1,
  WB_INT = 2,
  WB_DOUBLE = 3,
  WB_BOOL = 4,
  WB_INTS = 5,
  WB_TENSORS = 6,
  WB_STRING = 7,
  WB_DEVICE = 8,
  WB_GENERATOR = 9,
} wb_argument_kind;

/// One argument of an operator. `integer` holds an int, a bool, a dtype, or a device (type in the low, index in the
/// high 32 bits); `pointer` a handle, a C string, or the first of `count` integers or handles.
typedef struct wb_argument {
  wb_argument_kind kind;
  int64_t count;
  int64_t integer;
  double real;
  const void *pointer;
} wb_argument;

/// The operator registered with the dispatcher as `name` ("aten::add") and `overload` ("Tensor"); lives forever.
const wb_operator *wb_operator_find(const char *name, const char *overload);

/// Calls an operator. Arguments left off take the defaults of its schema. Writes up to `capacity` result handles
/// (a returned list of tensors is spread out) and returns their number, or -1.
int wb_operator_call(const wb_operator *op, const wb_argument *arguments, int count, wb_tensor **results, int capacity);

// Tensors.

void wb_tensor_release(wb_tensor *tensor);
/// Another handle of the same tensor.
wb_tensor *wb_tensor_retain(const wb_tensor *tensor);
int wb_tensor_rank(const wb_tensor *tensor);
int64_t wb_tensor_size(const wb_tensor *tensor, int axis);
int64_t wb_tensor_count(const wb_tensor *tensor);
int wb_tensor_dtype(const wb_tensor *tensor);
int64_t wb_tensor_device(const wb_tensor *tensor);
/// The first element of a contiguous tensor in the processor's memory; NULL for any other.
void *wb_tensor_data(const wb_tensor *tensor);
/// A tensor over memory that stays the caller's; `release(context)` runs when nothing refers to it any more.
wb_tensor *wb_tensor_borrow(void *memory, const int64_t *sizes, int rank, int dtype, void (*release)(void *), void *context);

// Autograd.

bool wb_set_gradients_enabled(bool enabled);
bool wb_tensor_require_gradient(wb_tensor *tensor, bool required);
bool wb_tensor_requires_gradient(const wb_tensor *tensor);
/// The accumulated gradient, or NULL without an error where there is none yet.
wb_tensor *wb_tensor_gradient(const wb_tensor *tensor);
void wb_tensor_clear_gradient(wb_tensor *tensor);
/// `upstream` is the gradient of the tensor itself; NULL for a scalar's own, 1.
bool wb_tensor_backward(const wb_tensor *tensor, const wb_tensor *upstream);

/// A part of a pass: writes at most `capacity` results, to be owned by the caller, and returns their number; -1 if it
/// failed. The input stays the caller's.
typedef int (*wb_part)(void *context, const wb_tensor *input, wb_tensor **results, int capacity);

/// The results of `part` for `input`, of which nothing is kept: the backward pass runs it again. `release(context)` runs
/// when that is no longer possible. Returns the number of results, at most 16, or -1.
int wb_recomputed(
    const wb_tensor *input, wb_part part, void *context, void (*release)(void *), wb_tensor **results, int capacity);

// Random numbers.

wb_generator *wb_generator_create(int64_t device, uint64_t seed);
void wb_generator_release(wb_generator *generator);
wb_tensor *wb_generator_state(const wb_generator *generator);
bool wb_generator_restore(wb_generator *generator, const wb_tensor *state);

// The machine.

/// Makes a device usable: for CUDA this loads libtorch's CUDA library on first use.
bool wb_device_prepare(int64_t device);
/// Waits until the device has done all its work.
bool wb_device_synchronize(int64_t device);
/// Bytes of the device's memory in use at the highest point so far; 0 for the processor.
int64_t wb_device_peak_bytes(int64_t device);
int wb_thread_count(void);
void wb_set_thread_count(int count);

/// On how many processors the process may run, at least one.
int wb_processor_count(void);
/// The kernels' vector code in use, and that of a number, from 0, of those that the processor has, the best first; null past
/// the last.
const char *wb_vector_code(void);
const char *wb_supported_vector_code(int index);
/// What multiplies large matrices of float32 on the processor, and why, on one line. The texts stay.
const char *wb_product_library(void);
const char *wb_product_library_reason(void);

/// Bytes a second at which all threads read an array of `bytes` together; 0 where there is no room for it.
double wb_read_bandwidth(int64_t bytes);

/// Process-wide set-up: denormals flushed to zero, freed memory kept for reuse, huge pages asked for. Call it before the
/// first operator.
void wb_prepare_process(void);

/// Gives the memory back to the system that was freed and is kept for reuse.
void wb_release_freed_memory(void);

// Functions with a derivative of our own.

/// A linear map's weight [out, in]: floats of any width with no scales; or whole numbers, int8 or int4 packed into bytes,
/// with bfloat16 scales, as ckernels_decoding.h lays them down.
typedef struct wb_matrix {
  const wb_tensor *values;
  const wb_tensor *scales;
  int64_t inputs;
} wb_matrix;

/// A weight [out, in] of floats as whole numbers under scales, on the same device.
bool wb_quantize(const wb_tensor *weight, bool is_int4, wb_tensor **values, wb_tensor **scales);

/// The weight [out, in] that whole numbers stand for, in float32; one of floats as it is.
wb_tensor *wb_expand(wb_matrix matrix);

/// The rows [..., in] of a weight of whole numbers that integer indices [...] name, in float32.
wb_tensor *wb_rows(wb_matrix matrix, const wb_tensor *indices);

/// x [..., in] times weight [out, in] transposed, in x's type. float32 in the processor's memory goes through products
/// that use its widest vectors; up to 16 rows without a derivative, there and on a CUDA GPU, through a kernel that reads the
/// weight once. Whole
/// numbers are made floats some rows at a time.
wb_tensor *wb_linear(const wb_tensor *x, wb_matrix weight);

/// Whether wb_adapted_linear is the way: x and the adapter float32 in the processor's memory, the weight there too and
/// without a gradient, and a derivative to record.
bool wb_is_adapted_product(const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up);

/// x weight^T + scale (x down^T) up^T with an adapter, down [r, in] and up [out, r], that is trained alone.
wb_tensor *wb_adapted_linear(
    const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up, double scale);

/// x [..., d] scaled to unit root-mean-square over the last axis, times weight [d]; computed in float32.
wb_tensor *wb_rms_norm(const wb_tensor *x, const wb_tensor *weight, double epsilon);

/// Whether the functions below that say so take a tensor: float32 in the processor's memory, not empty.
bool wb_is_fusible(const wb_tensor *tensor);

/// Whether wb_swiglu takes them: x fusible, and either all weights fusible or, without a derivative, in the processor's
/// memory in any form.
bool wb_swiglu_is_supported(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down);

/// down (silu(gate x) * up x) for x [..., D], gate and up [F, D], down [D', F].
wb_tensor *wb_swiglu(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down);

/// The sum over k of shares [N, k] times what the chosen expert [N, k], int64, makes of x [N, D]: the SwiGLU of its
/// weights, which are three after three in `matrices`, gate and up [F, D] and down [D, F]; fusible x, shares and matrices
/// alone.
wb_tensor *wb_experts(
    const wb_tensor *x, const wb_tensor *shares, const wb_tensor *chosen, const wb_tensor *const *matrices,
    int experts);

/// cosine and sine [1, T, 1, hd] in float32 of the rotary angles of int64 positions [T] in the processor's memory: channel c, and
/// c + hd/2 like it, turns by position theta^(-2c/hd). Angles are formed in double. To be released by the caller.
bool wb_rotary_tables(const wb_tensor *positions, int64_t head_size, double theta, wb_tensor **cosine, wb_tensor **sine);

/// x [B, T, H, hd] scaled to unit root-mean-square over the last axis, times weight [hd], turned by the angles whose
/// cosine and sine [1 or B, T, 1, hd] are given; fusible tensors alone.
wb_tensor *wb_rotary_norm(
    const wb_tensor *x, const wb_tensor *weight, const wb_tensor *cosine, const wb_tensor *sine, double epsilon);

/// softmax(query key^T / sqrt d) value [B, T, H, d] for queries [B, T, H, d], of which number t sees the keys up to
/// S - T + t, and keys and values [B, S, K, d] with K dividing H; fusible tensors alone. A derivative only where S = T.
wb_tensor *wb_attention(const wb_tensor *query, const wb_tensor *key, const wb_tensor *value);

/// Whether a head is one that wb_cross_entropy reads: fusible, or of 16 bits and without a gradient.
bool wb_is_readable_head(const wb_tensor *head);

/// The mean of -log softmax(head x)[target] over the rows of x [..., D] whose int64 target is not negative, for a head
/// [V, D]; fusible x and readable heads alone.
wb_tensor *wb_cross_entropy(const wb_tensor *x, const wb_tensor *head, const wb_tensor *targets);

/// x [..., G d] with each of its `groups` runs of d channels scaled to zero mean and unit variance, times weight [G d]
/// plus bias [G d]; computed in float32.
wb_tensor *wb_group_norm(
    const wb_tensor *x, int64_t groups, const wb_tensor *weight, const wb_tensor *bias, double epsilon);

// Sublayers of a few new positions, as decoding has them: each one call, without a derivative.

/// An attention sublayer's weights: norms in float32, and matrices of which the first three share a form.
typedef struct wb_attention_layer {
  int64_t heads, key_value_heads, head_size;
  double epsilon;
  const wb_tensor *norm, *query_norm, *key_norm;
  wb_matrix query, key, value, output;
} wb_attention_layer;

/// One text's keys and values in one layer, [1, K, capacity, hd] of float32, bfloat16 or int8, the last with float32
/// scales [1, K, capacity]; and its `rows` new positions from `start`.
typedef struct wb_memory {
  const wb_tensor *keys, *values, *key_scales, *value_scales;
  int64_t start, rows;
} wb_memory;

/// A sublayer's weights, checked once and for all; they are read where they lie at that time.
typedef struct wb_attention_weights wb_attention_weights;

/// NULL without an error where there is no kernel for the weights; to be released by the caller.
wb_attention_weights *wb_attention_weights_create(const wb_attention_layer *layer);
void wb_attention_weights_release(wb_attention_weights *weights);

/// Whether there is a kernel for x of T D numbers, at most 16 positions: float32 in the processor's memory like the norms, or
/// float32 or bfloat16 on a CUDA GPU beside norms of float32. Where a GPU could have kernels but has none, the reason is
/// printed to standard error, once.
bool wb_attention_step_is_supported(const wb_tensor *x, const wb_attention_weights *weights);

/// What attention makes of the new positions x of some texts, T in all, one behind another, with rotary angles of cosine
/// and sine [1, T, 1, hd]; their keys and values are kept in `texts`. In x's shape; added to x if `adds_input`. On a GPU
/// `starts`, int64 of as many numbers as texts or NULL, is added to where their new positions begin when the kernels run.
wb_tensor *wb_attention_step(
    const wb_tensor *x, const wb_attention_weights *weights, const wb_memory *texts, int64_t count, const wb_tensor *cosine,
    const wb_tensor *sine, const wb_tensor *starts, bool adds_input);

/// A feed-forward sublayer's weights: `experts` of each matrix, one without a router. The router [experts, D] and the
/// norm are float32; a row goes through the `chosen` most probable experts.
typedef struct wb_feed_forward_layer {
  double epsilon;
  const wb_tensor *norm, *router;
  int64_t experts, chosen;
  bool renormalizes;
  const wb_matrix *gate, *up, *down;
} wb_feed_forward_layer;

/// The same of a feed-forward sublayer.
typedef struct wb_feed_forward wb_feed_forward;

/// NULL without an error where there is no kernel for the weights; to be released by the caller.
wb_feed_forward *wb_feed_forward_create(const wb_feed_forward_layer *layer);
void wb_feed_forward_release(wb_feed_forward *weights);

/// Whether there is a kernel for x: as for attention, on a GPU without a router.
bool wb_feed_forward_step_is_supported(const wb_tensor *x, const wb_feed_forward *weights);

/// What a feed-forward sublayer makes of x, in x's shape; added to x if `adds_input`.
wb_tensor *wb_feed_forward_step(const wb_tensor *x, const wb_feed_forward *weights, bool adds_input);

/// The first of the places where each row of x [R, V] is largest, int64 [R]; -1 for a row with a number that is not finite.
/// For what wb_is_fusible says yes to.
wb_tensor *wb_largest(const wb_tensor *x);

/// One place drawn from each row of x [R, V], int64 [R], by `numbers` [R, 1] in float64 and as `settings` say (see ck_draw);
/// -1 for a row with a number that is not finite. `seen` is bool [R, V] or NULL. For what wb_is_fusible says yes to.
wb_tensor *wb_draw(
    const wb_tensor *x, const wb_tensor *numbers, const wb_tensor *seen, double temperature, int64_t top_k, double top_p,
    double min_p, double repetition_penalty);

/// Calls `body(context)` on this thread while the processor's other threads stand by for the sublayers' kernels. Operators
/// that are no kernels of ours have one thread within.
void wb_stand_by(void (*body)(void *context), void *context);

// Recorded work.

typedef struct wb_recording wb_recording;
typedef struct wb_reading wb_reading;

/// Records what `work(context)` gives a CUDA device to do, without doing it, to be run again on the same memory; NULL where
/// it gives false or cannot be recorded, the first reason being printed to standard error.
wb_recording *wb_record(int64_t device, bool (*work)(void *), void *context);
/// Gives the device all of it to do, on the current stream.
bool wb_recording_run(wb_recording *recording);
void wb_recording_release(wb_recording *recording);

/// Asks for a tensor of int64 as it is when the work given to its device so far is done.
wb_reading *wb_read_ahead(const wb_tensor *numbers);
/// Waits for its numbers.
bool wb_reading_finish(wb_reading *reading, int64_t *numbers);
void wb_reading_release(wb_reading *reading);

// The optimizer.

/// A weight with its gradient, the running means of the gradient and of its square, and how it is treated.
typedef struct wb_parameter {
  const wb_tensor *weight;
  const wb_tensor *first_moment;
  const wb_tensor *second_moment;
  double learning_rate;
  double weight_decay;
} wb_parameter;

/// Whether the kernel takes the parameters: all float32, contiguous and in the processor's memory.
bool wb_adamw_is_supported(const wb_parameter *parameters, int count);

/// Step number `step`, from 1, of AdamW on supported parameters, with gradients divided by `divisor` and zero where there
/// is none.
bool wb_adamw(
    const wb_parameter *parameters, int count, double beta1, double beta2, double epsilon, double divisor, int64_t step);

/// The Euclidean norm of the gradients of supported parameters together.
bool wb_gradient_norm(const wb_parameter *parameters, int count, double *norm);

// Hyper-connections through the fused kernels.

typedef struct wb_pending_write wb_pending_write;

/// Whether there are kernels for a state and the weights of a connection, as `wb_connection_read` takes them: float32 in
/// the processor's memory, or float32 or bfloat16 on a CUDA GPU with float32 weights; slots of more than one channel.
/// Where a GPU could have kernels but has none, the reason is printed to standard error, once.
bool wb_connection_is_supported(const wb_tensor *const weights[7], const wb_tensor *state);

/// What the sublayer sees, [..., D], of a state [..., n, C]. `weights` are static alpha and beta, dynamic alpha and
/// beta, alpha and beta scale, and the gain; the last five NULL for a static connection. `*pending` is what
/// `wb_connection_write` needs, to be released by the caller.
wb_tensor *wb_connection_read(
    const wb_tensor *const weights[7], double epsilon, const wb_tensor *state, wb_pending_write **pending);

/// The state [..., n, C] after the sublayer gave `output` [..., D]. A pending write can be done once.
wb_tensor *wb_connection_write(wb_pending_write *pending, const wb_tensor *output);

/// The write of `output`, and in the same pass what the connection with `weights` reads from the state it gives:
/// [..., D]. `*next` is that connection's pending write.
wb_tensor *wb_connection_write_read(
    wb_pending_write *pending, const wb_tensor *output, const wb_tensor *const weights[7], double epsilon,
    wb_pending_write **next);

void wb_pending_write_release(wb_pending_write *pending);

#ifdef __cplusplus
}
#endif
#endif
