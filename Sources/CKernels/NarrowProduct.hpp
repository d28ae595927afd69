// Products of a few rows with a matrix that is read from memory once, whatever their number.
#pragma once

/// Rows whose sums are kept in registers together.
constexpr int narrowRows = 8;

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

template <bool Part, int Rows, int Outputs>
CK_INLINE void narrowStep(
    const NarrowJob &job, const float *x, const float *weight, Index k, Index count, Vector (&sums)[Outputs][Rows]) {
  Vector weights[Outputs];
  CK_UNROLL
  for (int output = 0; output < Outputs; output++)
    weights[output] = loadTile<Part>(weight + output * job.inputs + k, count);
  CK_UNROLL
  for (int row = 0; row < Rows; row++) {
    const Vector value = loadTile<Part>(x + row * job.inputs + k, count);
    CK_UNROLL
    for (int output = 0; output < Outputs; output++) sums[output][row] += weights[output] * value;
  }
}

template <int Rows, int Outputs>
CK_INLINE void narrowBlock(const NarrowJob &job, Index firstRow, Index firstOutput) {
  const float *x = job.x + firstRow * job.inputs, *weight = job.weight + firstOutput * job.inputs;
  Vector sums[Outputs][Rows] = {};
  Index k = 0;
  for (; k + lanes <= job.inputs; k += lanes) {
    // The next outputs' weights, in the order in which they lie: what this step takes away, it asks for.
    CK_UNROLL
    for (int output = 0; output < Outputs; output++)
      __builtin_prefetch(weight + Outputs * (job.inputs + k) + output * lanes);
    narrowStep<false>(job, x, weight, k, 0, sums);
  }
  if (k < job.inputs) narrowStep<true>(job, x, weight, k, job.inputs - k, sums);
  CK_UNROLL
  for (int row = 0; row < Rows; row++)
    CK_UNROLL
    for (int output = 0; output < Outputs; output++)
      job.y[(firstRow + row) * job.outputs + firstOutput + output] = sumByHalves(sums[output][row]);
}

/// All rows with a few consecutive outputs, whose weights stay in the innermost cache.
template <int Outputs>
void narrowOutputs(const NarrowJob &job, Index output) {
  for (Index row = 0; row < job.rows; row += narrowRows) {
    switch (std::min<Index>(narrowRows, job.rows - row)) {
      case 1: narrowBlock<1, Outputs>(job, row, output); break;
      case 2: narrowBlock<2, Outputs>(job, row, output); break;
      case 3: narrowBlock<3, Outputs>(job, row, output); break;
      case 4: narrowBlock<4, Outputs>(job, row, output); break;
      case 5: narrowBlock<5, Outputs>(job, row, output); break;
      case 6: narrowBlock<6, Outputs>(job, row, output); break;
      case 7: narrowBlock<7, Outputs>(job, row, output); break;
      default: narrowBlock<8, Outputs>(job, row, output); break;
    }
  }
}

struct NarrowRun {
  const NarrowJob &job;
  int parts;
};

inline void narrowPart(void *context, int part) {
  const NarrowRun &run = *static_cast<const NarrowRun *>(context);
  const NarrowJob &job = run.job;
  const Index last = Index(job.outputs) * (part + 1) / run.parts;
  for (Index output = Index(job.outputs) * part / run.parts; output < last;) {
    if (last - output >= 2) {
      narrowOutputs<2>(job, output);
      output += 2;
    } else {
      narrowOutputs<1>(job, output);
      output += 1;
    }
  }
}

inline bool narrowProduct(const NarrowJob &job, int threads) {
  const NarrowRun run{job, usefulParts(job.outputs, job.outputs * job.inputs * job.rows, threads)};
  forEachPart(run.parts, narrowPart, const_cast<NarrowRun *>(&run));
  return true;
}
