// The checks of the kernels of connections, layers and the optimizer.
#include "Dispatch/ArgumentChecks.hpp"

namespace ckernels {
namespace {

bool haveOneShape(const ck_connection &a, const ck_connection &b) {
  return a.fraction_rate == b.fraction_rate && a.slots == b.slots && a.slot_width == b.slot_width;
}

/// Whether two connections, of which either may be missing, are possible in one pass.
bool arePossible(const ck_connection *one, const ck_connection *other) {
  return (one || other) && (!one || isPossible(*one)) && (!other || isPossible(*other)) &&
         (!one || !other || haveOneShape(*one, *other));
}

template <class Args>
Check checkGroupNorm(const Args &args) {
  return checked(
      args.rows >= 0 && args.groups >= 1 && args.groups <= maximumSize && args.width >= 1 && args.width <= maximumSize,
      args.rows == 0);
}

template <class Args>
Check checkQKNormRoPE(const Args &args) {
  return checked(
      args.tokens >= 0 && args.heads >= 1 && args.head_size >= 2 && args.head_size % 2 == 0 &&
          args.head_size <= maximumSize && args.period >= 1,
      args.tokens == 0);
}

bool arePossible(const ck_parameter *parameters, int64_t count) {
  if (count < 0) return false;
  for (int64_t i = 0; i < count; i++)
    if (parameters[i].count < 0) return false;
  return true;
}

bool isContiguous(const ck_causal_attention_args &args) {
  const int64_t position = args.key_value_heads * args.head_size;
  return args.layout.length == args.length && args.layout.position == position && args.layout.head == args.head_size &&
         args.layout.row == args.length * position;
}

}  // namespace

bool isPossible(const ck_connection &connection) {
  return connection.fraction_rate >= 1 && connection.slots >= connection.fraction_rate &&
         connection.slots <= maximumSize && connection.slot_width >= 1 && connection.slot_width <= maximumSize;
}

Check check(const ck_connection_forward_args &args) {
  return checked(args.tokens >= 0 && arePossible(args.writer, args.reader), args.tokens == 0);
}

Check check(const ck_connection_backward_args &args) {
  const bool isPossible = args.tokens >= 0 && arePossible(args.connection, args.writer);
  return checked(isPossible && (!args.writer || args.saved_write || args.tokens == 0), args.tokens == 0);
}

Check check(const ck_rms_norm_args &args) { return checked(args.rows >= 0 && args.width >= 1, args.rows == 0); }
Check check(const ck_rms_norm_backward_args &args) {
  return checked(args.rows >= 0 && args.width >= 1, args.rows == 0);
}

Check check(const ck_group_norm_args &args) { return checkGroupNorm(args); }
Check check(const ck_group_norm_backward_args &args) { return checkGroupNorm(args); }

Check check(const ck_swiglu_args &args) { return checked(args.count >= 0, args.count == 0); }
Check check(const ck_swiglu_backward_args &args) { return checked(args.count >= 0, args.count == 0); }

Check check(const ck_qk_norm_rope_args &args) { return checkQKNormRoPE(args); }
Check check(const ck_qk_norm_rope_backward_args &args) { return checkQKNormRoPE(args); }

Check check(const ck_causal_attention_args &args) {
  return checked(
      args.batch >= 0 && args.length >= 0 && args.layout.length >= args.length && args.layout.length <= maximumSize &&
          args.head_size >= 1 && args.head_size <= maximumSize && args.key_value_heads >= 1 &&
          args.heads >= args.key_value_heads && args.heads % args.key_value_heads == 0,
      args.batch == 0 || args.length == 0);
}

Check check(const ck_causal_attention_backward_args &args) {
  const Check found = check(args.forward);
  return found == Check::possible && !isContiguous(args.forward) ? Check::impossible : found;
}

Check check(const ck_cross_entropy_args &args) {
  if (args.rows < 0 || args.width < 1) return Check::impossible;
  for (int64_t row = 0; row < args.rows; row++)
    if (args.targets[row] >= args.width) return Check::impossible;
  return checked(true, args.rows == 0);
}

Check check(const ck_expert_dispatch_args &args) {
  return checked(args.rows >= 0 && args.per_token >= 1 && args.width >= 1, args.rows == 0);
}

Check check(const ck_expert_combine_args &args) {
  return checked(args.tokens >= 0 && args.per_token >= 1 && args.width >= 1, args.tokens == 0);
}

Check check(const ck_expert_row_products_args &args) {
  return checked(args.tokens >= 0 && args.per_token >= 1 && args.width >= 1, args.tokens == 0);
}

Check check(const ck_adamw_args &args) {
  return checked(args.step >= 1 && arePossible(args.parameters, args.count), false);
}

Check check(const ck_gradient_norm_args &args) { return checked(arePossible(args.parameters, args.count), false); }

}  // namespace ckernels
