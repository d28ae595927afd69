// The kernel that attends over a cache of format WB_FORMAT with heads of WB_HEAD channels, and what runs it.
#include "Device.hpp"
#include "device/CachedAttention.cuh"

namespace ckernels::cuda {

inline bool runAttention(
    const ck_attention_layer *layer, const ck_kv_view *sequences, int count, const int64_t *starts, const float *projected,
    const float *cosine, const float *sine, int splits, void *attentionOutput) {
  AttentionArguments arguments{};
  int tasks = 0;
  for (int each = 0; each < count; each++) {
    const ck_kv_view &sequence = sequences[each];
    arguments.sequences[each] = {sequence.keys, sequence.values, sequence.key_scales, sequence.value_scales,
                             starts ? reinterpret_cast<const long long *>(starts + each) : nullptr, sequence.start,
                             sequence.capacity, int(sequence.rows)};
    tasks += ceiling(sequence.rows * (layer->heads / layer->key_value_heads), attention::queries) *
             int(layer->key_value_heads);
  }
  // Nothing that was not written may be read.
  std::vector<float> sums(std::size_t(tasks * splits * attention::queries * attention::head), NAN);
  std::vector<float> extremes(std::size_t(tasks * splits * attention::queries * 2), NAN);
  std::vector<int> counters(std::size_t(tasks), 0);
  arguments.projected = projected;
  arguments.queryNorm = layer->query_norm;
  arguments.keyNorm = layer->key_norm;
  arguments.cosine = cosine;
  arguments.sine = sine;
  arguments.attentionOutput = attentionOutput;
  arguments.sums = sums.data();
  arguments.extremes = extremes.data();
  arguments.counters = counters.data();
  arguments.heads = int(layer->heads);
  arguments.keyHeads = int(layer->key_value_heads);
  arguments.splits = splits;
  arguments.epsilon = layer->epsilon;
  return emulation::run(tasks * splits, attention::threads, attention::shape.bytes(), [&] {
    attention::cachedAttention(arguments);
  });
}

const emulation::AttentionProgram program{WB_HEAD, WB_FORMAT, WB_ELEMENT_BYTES, WB_QUERIES, runAttention};

}  // namespace ckernels::cuda

#undef ckernels
#undef WB_HEAD
#undef WB_FORMAT
#undef WB_ELEMENT_BYTES
#undef WB_QUERIES
#undef WB_DEVICE
#undef WB_KERNEL
#undef WB_ARGUMENTS
