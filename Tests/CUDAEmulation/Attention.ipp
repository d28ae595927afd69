// The kernel that attends over a cache of form WB_FORM with heads of WB_HEAD channels, and what runs it.
#include "../../Sources/CKernels/CUDA/Source/DecodingLayout.cuh"
#include "Device.hpp"
#include "../../Sources/CKernels/CUDA/Source/Numbers.cuh"
#include "../../Sources/CKernels/CUDA/Source/CachedAttention.cuh"

namespace ckernels {
namespace cuda {

inline bool runAttention(
    const ck_attention_layer *layer, const ck_memory *texts, int count, const int64_t *starts, const float *projected,
    const float *cosine, const float *sine, int splits, void *attended) {
  AttentionArguments arguments{};
  int tasks = 0;
  for (int each = 0; each < count; each++) {
    const ck_memory &text = texts[each];
    arguments.texts[each] = {text.keys, text.values, text.key_scales, text.value_scales,
                             starts ? reinterpret_cast<const long long *>(starts + each) : nullptr, text.start,
                             text.capacity, int(text.rows)};
    tasks += ceiling(text.rows * (layer->heads / layer->key_value_heads), attention::queries) *
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
  arguments.attended = attended;
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

const emulation::AttentionProgram program{WB_HEAD, WB_FORM, WB_ELEMENT_BYTES, WB_QUERIES, runAttention};

}  // namespace cuda
}  // namespace ckernels

#undef ckernels
#undef WB_HEAD
#undef WB_FORM
#undef WB_ELEMENT_BYTES
#undef WB_QUERIES
#undef WB_DEVICE
#undef WB_KERNEL
#undef WB_ARGUMENTS
