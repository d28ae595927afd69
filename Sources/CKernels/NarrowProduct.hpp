// Products of a few rows with matrices that are read from memory once, whatever the number of rows.
#pragma once

/// Four-bit weights as they meet whole activations, with the instruction for it or without.
template <bool Dots>
struct WholeInt4Form : Int4Form {
  static constexpr bool hasDots = Dots;
};

template <class Form>
constexpr bool isWhole = false;
template <bool Dots>
constexpr bool isWhole<WholeInt4Form<Dots>> = true;

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

/// Outputs whose sums are kept in registers together: enough that an activation is loaded for several products, no more
/// than fit. Where a chunk is long, four at once would be slower from memory, though faster in cache.
template <class Form, int Rows>
constexpr int outputsTogether = isWhole<Form>        ? (CK_REGISTERS == 32 ? 2 : 1)
                                : CK_REGISTERS == 32 ? (Rows <= 4 ? 4 : 2)
                                                     : (Rows <= 2 ? 4 : Rows <= 5 ? 2 : 1);

/// Rows whose sums are kept in registers together.
template <class Form>
constexpr int narrowRows = isWhole<Form> ? 4 : 8;

/// A few rows of a matrix in one form: where they lie, and what a row takes.
template <class Form>
struct FormRows {
  const std::uint8_t *values;
  const std::uint16_t *scales;
  Index stride, scaleStride;

  FormRows(const ck_matrix &matrix, Index first) {
    const Index inputs = matrix.inputs, padded = (inputs + Form::padding - 1) / Form::padding * Form::padding;
    stride = (Form::isPadded ? padded : inputs) * Form::bytes / Form::chunk;
    scaleStride = padded / 32;
    values = static_cast<const std::uint8_t *>(matrix.values) + first * stride;
    scales = Form::isScaled ? matrix.scales + first * scaleStride : nullptr;
  }
};

/// Asks for memory that is read once: it leaves the caches to what is read again, the code between the products included.
CK_INLINE void fetchOnce(const std::uint8_t *p) { __builtin_prefetch(p, 0, 0); }

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

/// The same of a block of four-bit weights and whole activations: a group's sum is a whole number, and takes both
/// scales then. What lies at `ahead`, as much as the step has, is asked for evenly: many lines at once would wait for
/// one another.
template <bool Dots, int Rows, int Outputs>
CK_INLINE void wholeStep(
    const std::uint8_t *weights, Index stride, const std::uint8_t *ahead, const std::uint16_t *scales,
    Index scaleStride, const float *x, Index width, Index place, Vector (&sums)[Outputs][Rows]) {
  for (Index first = 0; first < Int4Form::groups; first += lanes) {
    const WholeBlock *blocks[Rows];
    CK_UNROLL
    for (int row = 0; row < Rows; row++) blocks[row] = reinterpret_cast<const WholeBlock *>(x + row * width) + place;
    GroupSum<Dots> high[Outputs][Rows], low[Outputs][Rows];
    CK_UNROLL
    for (int t = 0; t < Int4Form::wordsOfGroup; t++) {
      Words raw[Outputs];
      CK_UNROLL
      for (int output = 0; output < Outputs; output++)
        raw[output] = Int4Form::raw(weights + output * stride + (t * Int4Form::groups + first) * 4);
      CK_UNROLL
      for (int h = 0; h < 2; h++) {
        CK_UNROLL
        for (int row = 0; row < Rows; row++) {
          const Words highs = blocks[row]->bytes(0, t, h, first), lows = blocks[row]->bytes(1, t, h, first);
          CK_UNROLL
          for (int output = 0; output < Outputs; output++) {
            const Words numbers = Int4Form::half(raw[output], h);
            high[output][row].add(numbers, highs);
            low[output][row].add(numbers, lows);
            if (first == 0 && row == 0 && output % 2 == h) fetchOnce(ahead + (t * Outputs + output) * 64);
          }
        }
      }
    }
    CK_UNROLL
    for (int output = 0; output < Outputs; output++) {
      const Vector scale = Int4Form::scale(scales + output * scaleStride + first);
      CK_UNROLL
      for (int row = 0; row < Rows; row++) {
        const Integers whole =
            (high[output][row].total() << 8) + low[output][row].total() + blocks[row]->offsetsFrom(first);
        sums[output][row] +=
            __builtin_convertvector(whole, Vector) * (scale * load(blocks[row]->scales + first));
      }
    }
  }
}

/// One matrix and what it meets.
struct NarrowTask {
  const ck_matrix *matrix;
  const float *x;  ///< [rows, width], as `Arranged` makes it: of WholeBlocks for four-bit weights
  Index rows, width;
  float *y;  ///< [rows, outputs]
};

/// What is left of the rows behind their whole chunks.
template <class Form, int Rows, int Outputs>
CK_INLINE void narrowEnd(
    const FormRows<Form> &rows, const float *x, Index width, Index whole, Vector (&sums)[Outputs][Rows]) {
  const Index left = rows.stride - whole * Form::bytes;
  if (left == 0) return;
  std::uint8_t last[Outputs][Form::bytes] = {};
  for (int each = 0; each < Outputs; each++)
    std::memcpy(last[each], rows.values + each * rows.stride + whole * Form::bytes, std::size_t(left));
  narrowStep<Form>(last[0], Form::bytes, rows.scales, rows.scaleStride, x, width, whole, sums);
}

template <bool Dots, int Rows, int Outputs>
CK_INLINE void narrowEnd(
    const FormRows<WholeInt4Form<Dots>> &rows, const float *x, Index width, Index whole,
    Vector (&sums)[Outputs][Rows]) {
  const Index groups = rows.scaleStride - whole * Int4Form::groups;
  if (groups == 0) return;
  std::uint8_t last[Outputs][Int4Form::wordsOfGroup][Int4Form::groups * 4] = {};
  std::uint16_t scales[Outputs][Int4Form::groups] = {};
  for (int each = 0; each < Outputs; each++) {
    const std::uint8_t *weights = rows.values + each * rows.stride + whole * Int4Form::bytes;
    for (Index t = 0; t < Int4Form::wordsOfGroup; t++)
      std::memcpy(last[each][t], weights + t * groups * 4, std::size_t(groups * 4));
    std::copy_n(rows.scales + each * rows.scaleStride + whole * Int4Form::groups, groups, scales[each]);
  }
  wholeStep<Dots>(
      last[0][0], Int4Form::bytes, last[0][0], scales[0], Int4Form::groups, x, width, whole, sums);
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
      wholeStep<Form::hasDots>(
          weights, rows.stride, ahead, rows.scales + chunk * Form::groups, rows.scaleStride, x, task.width, chunk, sums);
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
  constexpr int together = outputsTogether<Form, Rows>;
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
        case CK_INT8: narrowRange<Int8Form>(task, first, end); break;
        case CK_INT4:
          if (run.hasDotProducts)
            narrowRange<WholeInt4Form<true>>(task, first, end);
          else
            narrowRange<WholeInt4Form<false>>(task, first, end);
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

/// Activations [rows, inputs] as a matrix's form wants them: padded with zeros to whole chunks, or as whole numbers.
struct Arranged {
  /// Floats that a row takes.
  static Index width(const ck_matrix &matrix) {
    const Index inputs = matrix.inputs;
    return matrix.form == CK_INT4 ? WholeBlock::count(inputs) * WholeBlock::floats : (inputs + 31) / 32 * 32;
  }

  static bool isAsGiven(const ck_matrix &matrix) {
    return matrix.form != CK_INT4 && width(matrix) == Index(matrix.inputs);
  }

  /// Either x itself or the copy that it was given room for, [rows, width].
  static const float *rows(const ck_matrix &matrix, const float *x, Index count, float *room) {
    if (isAsGiven(matrix)) return x;
    const Index inputs = matrix.inputs, padded = width(matrix);
    for (Index row = 0; row < count; row++) {
      float *copy = room + row * padded;
      if (matrix.form == CK_INT4) {
        WholeBlock::arrange(x + row * inputs, inputs, reinterpret_cast<WholeBlock *>(copy));
      } else {
        std::copy_n(x + row * inputs, inputs, copy);
        std::fill(copy + inputs, copy + padded, 0.0f);
      }
    }
    return room;
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
