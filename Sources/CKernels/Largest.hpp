// The place of a row's largest number, as a greedy choice wants it.
#pragma once

struct LargestRun {
  const LargestJob &job;
  int parts;
};

/// Whether all numbers are finite: only then each times zero is zero.
CK_INLINE bool areFinite(const float *x, Index width) {
  Vector zeros = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) zeros += load(x + c) * 0.0f;
  if (c < width) zeros += loadPart(x + c, width - c) * 0.0f;
  return sum(zeros) == 0;
}

/// The first of the places where the largest number is; -1 if one is not finite.
inline Index placeOfLargest(const float *x, Index width) {
  // Few enough that they are still in the nearest cache when they are looked at again.
  constexpr Index together = 512;
  Index place = 0;
  float most = x[0];
  for (Index first = 0; first < width; first += together) {
    const Index count = std::min(together, width - first);
    if (!areFinite(x + first, count)) return -1;
    const float here = largestOf(x + first, count);
    if (here > most) {
      most = here;
      place = first;
    }
  }
  while (x[place] != most) place++;
  return place;
}

inline void largestPart(void *context, int part) {
  const LargestRun &run = *static_cast<const LargestRun *>(context);
  const LargestJob &job = run.job;
  for (Index row = job.rows * part / run.parts; row < job.rows * (part + 1) / run.parts; row++)
    job.places[row] = placeOfLargest(job.x + row * job.width, job.width);
}

inline bool largestOfRows(const LargestJob &job, int threads) {
  LargestRun run{job, usefulParts(job.rows, job.rows * job.width, threads)};
  forEachPart(run.parts, largestPart, &run);
  return true;
}
