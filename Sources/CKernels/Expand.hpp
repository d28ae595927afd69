// Rows of a matrix, whatever its form, as floats.
#pragma once

/// The floats of one chunk, at `y`: in their order, or in that of the form where it has one.
template <class Form>
CK_INLINE void expandChunk(const std::uint8_t *weights, const std::uint16_t *scales, Index chunk, float *y) {
  const typename Form::Raw raw = Form::raw(weights);
  CK_UNROLL
  for (int i = 0; i < Form::chunk / lanes; i++) {
    Vector values = Form::piece(raw, i);
    if constexpr (Form::isScaled) values *= Form::scale(scales, chunk);
    store(y + Form::place(chunk, i) - Form::place(chunk, 0), values);
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

/// 128 weights of the four-bit form, in their order.
CK_INLINE void expandBlock(const FormRows<Int4Form> &rows, Index block, float *y) {
  CK_UNROLL
  for (Index part = 0; part < Int4Form::parts; part++) {
    const Index chunk = block * Int4Form::parts + part;
    const auto raw = Int4Form::raw(rows.values + chunk * Int4Form::bytes);
    const Vector scale = Int4Form::scale(rows.scales, chunk);
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
      const Vector values = Int4Form::piece(raw, j) * scale;
      // Four neighbours from each of the groups that lie side by side in a register.
      CK_UNROLL
      for (int quad = 0; quad < lanes / 4; quad++)
        __builtin_memcpy(
            y + (part * (lanes / 4) + quad) * 32 + j * 4, reinterpret_cast<const float *>(&values) + quad * 4, 16);
    }
  }
}

template <>
inline void expandRow<Int4Form>(const ck_matrix &matrix, Index row, float *y) {
  const FormRows<Int4Form> rows(matrix, row);
  const Index inputs = matrix.inputs, whole = inputs / 128;
  for (Index block = 0; block < whole; block++) expandBlock(rows, block, y + block * 128);
  if (whole * 128 == inputs) return;
  float values[128];
  expandBlock(rows, whole, values);
  std::copy_n(values, inputs - whole * 128, y + whole * 128);
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
