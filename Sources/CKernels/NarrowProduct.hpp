// Products of a few rows with matrices that are read from memory once, whatever the number of rows.
#pragma once

/// The sum of all lanes by halves, which many sums can do side by side.
CK_INLINE float sumByHalves(Vector v) {
#if CK_LANES == 16
  const auto eight = v.lo + v.hi;
  const Quad four = eight.lo + eight.hi;
#elif CK_LANES == 8
  const Quad four = v.lo + v.hi;
#else
  const Quad four = v;
#endif
  const auto two = four.lo + four.hi;
  return two.x + two.y;
}

template <class Form, class = void>
constexpr bool isWhole = false;
template <class Form>
constexpr bool isWhole<Form, std::enable_if_t<Form::isWhole>> = true;

/// Outputs whose sums are kept in registers together: enough that an activation is loaded for several products, no more
/// than fit. Where a chunk is long, four at once would be slower from memory, though faster in cache.
template <class Form, int Rows>
constexpr int outputsTogether() {
  if constexpr (isWhole<Form>) return Form::template outputsTogether<Rows>;
  return CK_REGISTERS == 32 ? (Rows <= 4 ? 4 : 2) : (Rows <= 2 ? 4 : Rows <= 5 ? 2 : 1);
}

/// Rows whose sums are kept in registers together.
template <class Form>
constexpr int narrowRows = isWhole<Form> ? 4 : 8;

/// One chunk of `Outputs` rows of weights, met by all rows of activations. `place` is the chunk's number in activations
/// and scales, `weights` points at the chunk in the first row.
template <class Form, int Rows, int Outputs>
CK_INLINE void narrowStep(
    const std::uint8_t *weights, Index stride, const std::uint16_t *scales, Index scaleStride, const float *x,
    Index width, Index place, Vector (&sums)[Outputs][Rows]) {
  typename Form::Raw raw[Outputs];
  Vector scale[Outputs];
  CK_UNROLL
  for (int output = 0; output < Outputs; output++) {
    raw[output] = Form::raw(weights + output * stride);
    if constexpr (Form::isScaled) scale[output] = Form::scale(scales + output * scaleStride, place);
  }
  CK_UNROLL
  for (int i = 0; i < Form::chunk / lanes; i++) {
    Vector values[Outputs];
    CK_UNROLL
    for (int output = 0; output < Outputs; output++) {
      values[output] = Form::piece(raw[output], i);
      if constexpr (Form::isScaled) values[output] *= scale[output];
    }
    CK_UNROLL
    for (int row = 0; row < Rows; row++) {
      const Vector activation = load(x + row * width + Form::place(place, i));
      CK_UNROLL
      for (int output = 0; output < Outputs; output++) sums[output][row] += values[output] * activation;
    }
  }
}

/// One matrix and what it meets.
struct NarrowTask {
  const ck_matrix *matrix;
  const float *x;  ///< [rows, width], as `Arranged` makes it
  Index rows, width;
  float *y;  ///< [rows, outputs]
};

/// What is left of the rows after their last whole chunk, as a chunk with zeros.
template <class Form, int Outputs>
struct LastChunk {
  std::uint8_t weights[Outputs][Form::bytes] = {};

  CK_INLINE LastChunk(const FormRows<Form> &rows, Index whole) {
    const Index left = rows.stride - whole * Form::bytes;
    for (int each = 0; each < Outputs; each++)
      std::memcpy(weights[each], rows.values + each * rows.stride + whole * Form::bytes, std::size_t(left));
  }
};

/// The same of integer weights, with its scales.
template <class Form, int Outputs>
struct LastWholeChunk {
  std::uint8_t weights[Outputs][Form::bytes] = {};
  std::uint16_t scales[Outputs][Form::groups] = {};

  CK_INLINE LastWholeChunk(const FormRows<Form> &rows, Index whole) {
    const Index left = rows.stride - whole * Form::bytes, groups = rows.scaleStride - whole * Form::groups;
    // In the form of four bits groups lie side by side, a word of each.
    const Index runs = std::is_base_of_v<Int4Form, Form> ? Index(Int4Form::wordsOfGroup) : 1;
    for (int each = 0; each < Outputs; each++) {
      const std::uint8_t *from = rows.values + each * rows.stride + whole * Form::bytes;
      for (Index run = 0; run < runs; run++)
        std::memcpy(weights[each] + run * (Form::bytes / runs), from + run * (left / runs), std::size_t(left / runs));
      std::copy_n(rows.scales + each * rows.scaleStride + whole * Form::groups, groups, scales[each]);
    }
  }
};

template <class Form, int Rows, int Outputs>
CK_INLINE void narrowEnd(
    const FormRows<Form> &rows, const float *x, Index width, Index whole, Vector (&sums)[Outputs][Rows]) {
  if (rows.stride == whole * Form::bytes) return;
  if constexpr (isWhole<Form>) {
    const LastWholeChunk<Form, Outputs> last(rows, whole);
    Form::step(
        WholeStep{
            last.weights[0], Form::bytes, last.weights[0], last.scales[0], Form::groups, x, width, whole}, sums);
  } else {
    const LastChunk<Form, Outputs> last(rows, whole);
    narrowStep<Form>(last.weights[0], Form::bytes, rows.scales, rows.scaleStride, x, width, whole, sums);
  }
}

template <class Form, int Rows, int Outputs>
CK_INLINE void narrowBlock(const NarrowTask &task, Index firstRow, Index output) {
  const ck_matrix &matrix = *task.matrix;
  const FormRows<Form> rows(matrix, output);
  const float *x = task.x + firstRow * task.width;
  Vector sums[Outputs][Rows] = {};
  const Index whole = rows.stride / Form::bytes;
  // Far enough that memory has answered when the weights are needed, near enough that they still lie in a cache.
  constexpr Index farEnough = 8192;
  const Index block = Outputs * rows.stride, blocks = (farEnough + block - 1) / block;
  // Later outputs' weights, in the order in which they lie: what a step takes away, it asks for.
  const std::uint8_t *weights = rows.values, *ahead = weights + blocks * block;
  for (Index chunk = 0; chunk < whole; chunk++, weights += Form::bytes, ahead += Outputs * Form::bytes) {
    if constexpr (isWhole<Form>) {
      Form::step(
          WholeStep{
              weights, rows.stride, ahead, rows.scales + chunk * Form::groups, rows.scaleStride, x, task.width, chunk},
          sums);
    } else {
      CK_UNROLL
      for (int line = 0; line < Outputs; line++) fetchOnce(ahead + line * Form::bytes);
      narrowStep<Form>(weights, rows.stride, rows.scales, rows.scaleStride, x, task.width, chunk, sums);
    }
  }
  narrowEnd(rows, x, task.width, whole, sums);
  CK_UNROLL
  for (int row = 0; row < Rows; row++)
    CK_UNROLL
    for (int each = 0; each < Outputs; each++)
      task.y[(firstRow + row) * matrix.outputs + output + each] = sumByHalves(sums[each][row]);
}

template <class Form, int Rows>
void narrowOutputs(const NarrowTask &task, Index row, Index first, Index last) {
  constexpr int together = outputsTogether<Form, Rows>();
  for (; first + together <= last; first += together) narrowBlock<Form, Rows, together>(task, row, first);
  for (; first < last; first++) narrowBlock<Form, Rows, 1>(task, row, first);
}

/// The same for more than four rows, eight at most.
template <class Form>
void narrowMoreOutputs(const NarrowTask &task, Index row, Index first, Index last) {
  switch (task.rows - row) {
    case 5: return narrowOutputs<Form, 5>(task, row, first, last);
    case 6: return narrowOutputs<Form, 6>(task, row, first, last);
    case 7: return narrowOutputs<Form, 7>(task, row, first, last);
    default: return narrowOutputs<Form, 8>(task, row, first, last);
  }
}

/// All rows with some consecutive outputs, so few that their weights stay in the innermost caches.
template <class Form>
void narrowRange(const NarrowTask &task, Index first, Index last) {
  constexpr Index outputsAtOnce = 12, together = narrowRows<Form>;
  for (Index next; first < last; first = next) {
    next = task.rows <= together ? last : std::min(first + outputsAtOnce, last);
    for (Index row = 0; row < task.rows; row += together) {
      switch (std::min(together, task.rows - row)) {
        case 1: narrowOutputs<Form, 1>(task, row, first, next); break;
        case 2: narrowOutputs<Form, 2>(task, row, first, next); break;
        case 3: narrowOutputs<Form, 3>(task, row, first, next); break;
        case 4: narrowOutputs<Form, 4>(task, row, first, next); break;
        default:
          if constexpr (together > 4) narrowMoreOutputs<Form>(task, row, first, next);
      }
    }
  }
}

struct NarrowRun {
  const NarrowTask *tasks;
  int count;
  bool hasDotProducts;
};

/// Outputs [first, last) of all tasks' outputs in a row.
inline void narrowOutputsOfAll(void *context, int, std::int64_t first, std::int64_t last) {
  const NarrowRun &run = *static_cast<const NarrowRun *>(context);
  for (int each = 0; each < run.count && last > 0; each++) {
    const NarrowTask &task = run.tasks[each];
    const Index end = std::min(last, task.matrix->outputs);
    if (first < end) {
      switch (task.matrix->form) {
        case CK_FLOAT32: narrowRange<Float32Form>(task, first, end); break;
        case CK_BFLOAT16: narrowRange<BFloat16Form>(task, first, end); break;
        case CK_INT8: narrowRange<NarrowInt8Form>(task, first, end); break;
        case CK_INT4:
          if (run.hasDotProducts)
            narrowRange<NarrowInt4Form<true>>(task, first, end);
          else
            narrowRange<NarrowInt4Form<false>>(task, first, end);
          break;
      }
    }
    first = std::max<std::int64_t>(first - task.matrix->outputs, 0);
    last -= task.matrix->outputs;
  }
}

/// A matrix as the rows that are read of it.
inline RowsRead::Table tableOf(const ck_matrix &matrix) {
  auto as = [&](auto form) {
    const FormRows<decltype(form)> rows(matrix, 0);
    return RowsRead::Table{
        reinterpret_cast<const char *>(rows.values), reinterpret_cast<const char *>(rows.scales), matrix.outputs,
        rows.stride, rows.scaleStride * 2};
  };
  switch (matrix.form) {
    case CK_FLOAT32: return as(Float32Form());
    case CK_BFLOAT16: return as(BFloat16Form());
    case CK_INT8: return as(Int8Form());
    default: return as(Int4Form());
  }
}

/// Products that do not wait for one another, their outputs dealt to the threads as if they were one matrix's.
inline void narrowProducts(const NarrowTask *tasks, int count, int threads) {
  NarrowRun run{tasks, count, code().hasDotProducts};
  RowsRead rows;
  Index work = 0;
  for (int each = 0; each < count; each++) {
    const ck_matrix &matrix = *tasks[each].matrix;
    if (each < RowsRead::mostTables) rows.tables[rows.tableCount++] = tableOf(matrix);
    rows.count += matrix.outputs;
    work += matrix.outputs * matrix.inputs * tasks[each].rows;
  }
  // Few enough that no thread waits long for another.
  constexpr Index outputsAtOnce = 16;
  forEachRange(rows.count, outputsAtOnce, usefulParts(rows.count, work, threads), narrowOutputsOfAll, &run, &rows);
}

/// Activations [rows, inputs] as a matrix's form wants them: padded with zeros to whole chunks, or as integers.
struct Arranged {
  /// Floats that a row takes.
  static Index width(const ck_matrix &matrix) {
    Index floats = 0;
    const Index inputs = matrix.inputs;
    const bool isInteger = withBlocks(matrix, [&](auto *block) {
      typedef std::remove_pointer_t<decltype(block)> Block;
      floats = (inputs + Block::inputs - 1) / Block::inputs * Block::floats;
    });
    return isInteger ? floats : (inputs + 31) / 32 * 32;
  }

  static bool isAsGiven(const ck_matrix &matrix) {
    return !withBlocks(matrix, [](auto *) {}) && matrix.inputs % 32 == 0;
  }

  /// Either x itself or the copy that it was given room for, [rows, width].
  static const float *rows(const ck_matrix &matrix, const float *x, Index count, float *room) {
    if (isAsGiven(matrix)) return x;
    const Index inputs = matrix.inputs, padded = width(matrix);
    for (Index row = 0; row < count; row++) {
      float *copy = room + row * padded;
      const bool isInteger = withBlocks(matrix, [&](auto *block) {
        arrangeBlocks(x + row * inputs, inputs, reinterpret_cast<decltype(block)>(copy));
      });
      if (isInteger) continue;
      std::copy_n(x + row * inputs, inputs, copy);
      std::fill(copy + inputs, copy + padded, 0.0f);
    }
    return room;
  }

 private:
  /// Calls `body` with a null pointer to the blocks in which a matrix meets integers; false where it meets floats.
  template <class Body>
  static CK_INLINE bool withBlocks(const ck_matrix &matrix, Body body) {
    return matrix.form == CK_INT4   ? withBlocksOf<NarrowInt4Form<false>>(body)
           : matrix.form == CK_INT8 ? withBlocksOf<NarrowInt8Form>(body)
                                    : false;
  }

  template <class Form, class Body>
  static CK_INLINE bool withBlocksOf(Body body) {
    if constexpr (isWhole<Form>) body(static_cast<typename Form::Block *>(nullptr));
    return isWhole<Form>;
  }
};

/// What a residual connection does with a sublayer's output.
inline void addInput(const float *x, Index count, float *y) {
  for (Index i = 0; i < count; i++) y[i] += x[i];
}

inline bool narrowProduct(const NarrowJob &job, int threads) {
  const ck_matrix &matrix = *job.weight;
  const Index width = Arranged::width(matrix);
  float *room = nullptr;
  if (!Arranged::isAsGiven(matrix) && !(room = scratch(std::size_t(job.rows * width)))) return false;
  const NarrowTask task{&matrix, Arranged::rows(matrix, job.x, job.rows, room), job.rows, width, job.y};
  narrowProducts(&task, 1, threads);
  return true;
}
