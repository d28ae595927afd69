// Rows of a matrix, whatever its form, as floats.
#pragma once

/// The floats of one chunk, at `y`.
template <class Form>
CK_INLINE void expandChunk(const std::uint8_t *weights, const std::uint16_t *scales, Index chunk, float *y) {
  const typename Form::Raw raw = Form::raw(weights);
  CK_UNROLL
  for (int i = 0; i < Form::chunk / lanes; i++) {
    Vector values = Form::piece(raw, i);
    if constexpr (Form::isScaled) values *= Form::scale(scales, chunk);
    store(y + i * lanes, values);
  }
}

template <class Form>
void expandRow(const ck_matrix &matrix, Index row, float *y) {
  const FormRows<Form> rows(matrix, row);
  const Index inputs = matrix.inputs;
  Index chunk = 0;
  for (; (chunk + 1) * Form::chunk <= inputs; chunk++)
    expandChunk<Form>(rows.values + chunk * Form::bytes, rows.scales, chunk, y + chunk * Form::chunk);
  const Index left = inputs - chunk * Form::chunk;
  if (left == 0) return;
  std::uint8_t bytes[Form::bytes] = {};
  std::memcpy(bytes, rows.values + chunk * Form::bytes, std::size_t(rows.stride - chunk * Form::bytes));
  float values[Form::chunk];
  expandChunk<Form>(bytes, rows.scales, chunk, values);
  std::copy_n(values, left, y + chunk * Form::chunk);
}

/// The four words of a group in the four-bit form, `words` of them apart, as 32 floats in their order.
CK_INLINE void expandGroup(const std::uint8_t *first, Index words, float scale, float *y) {
  typedef std::uint8_t Bytes __attribute__((ext_vector_type(4)));
  CK_UNROLL
  for (Index t = 0; t < Int4Form::wordsOfGroup; t++) {
    Bytes word;
    __builtin_memcpy(&word, first + t * words * 4, sizeof(word));
    const Quad low = (__builtin_convertvector(word & 15, Quad) - 8.0f) * scale;
    const Quad high = (__builtin_convertvector(word >> 4, Quad) - 8.0f) * scale;
    __builtin_memcpy(y + t * 8, &low, sizeof(low));
    __builtin_memcpy(y + t * 8 + 4, &high, sizeof(high));
  }
}

template <>
inline void expandRow<Int4Form>(const ck_matrix &matrix, Index row, float *y) {
  const FormRows<Int4Form> rows(matrix, row);
  const Index inputs = matrix.inputs, groups = (inputs + 31) / 32;
  for (Index group = 0; group < groups; group++) {
    const Index block = group / Int4Form::groups, place = group % Int4Form::groups;
    const Index words = Int4Form::together(rows.scaleStride - block * Int4Form::groups);
    const std::uint8_t *first = rows.values + block * Int4Form::bytes + place * 4;
    const float scale = __builtin_bit_cast(float, std::uint32_t(rows.scales[group]) << 16);
    const Index left = inputs - group * 32;
    if (left >= 32) {
      expandGroup(first, words, scale, y + group * 32);
    } else {
      float values[32];
      expandGroup(first, words, scale, values);
      std::copy_n(values, left, y + group * 32);
    }
  }
}

struct ExpandRun {
  const ExpandJob &job;
  int parts;
};

inline void expandPart(void *context, int part) {
  const ExpandRun &run = *static_cast<const ExpandRun *>(context);
  const ExpandJob &job = run.job;
  const ck_matrix &matrix = *job.matrix;
  const Index last = Index(job.count) * (part + 1) / run.parts;
  for (Index each = Index(job.count) * part / run.parts; each < last; each++) {
    const Index row = job.first + each;
    float *y = job.y + each * matrix.inputs;
    switch (matrix.form) {
      case CK_FLOAT32: expandRow<Float32Form>(matrix, row, y); break;
      case CK_BFLOAT16: expandRow<BFloat16Form>(matrix, row, y); break;
      case CK_INT8: expandRow<Int8Form>(matrix, row, y); break;
      case CK_INT4: expandRow<Int4Form>(matrix, row, y); break;
    }
  }
}

inline bool expand(const ExpandJob &job, int threads) {
  ExpandRun run{job, usefulParts(job.count, job.count * job.matrix->inputs, threads)};
  forEachPart(run.parts, expandPart, &run);
  return true;
}
