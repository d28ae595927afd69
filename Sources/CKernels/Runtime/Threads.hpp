// Parallel loops on the OpenMP pool of the process or on a worker team.
#pragma once

#include <cstdint>

namespace ckernels {

/// The maximum number of threads of a job whose threads take work from each other.
constexpr int maximumThreads = 64;

/// The split of a job's pieces into shares. Shares do not depend on the speed of the threads, so each may have its own partial
/// result. Each thread has a few consecutive shares, the later ones shorter. A thread that has finished its shares takes
/// shares of others that have not begun, so that all end at about the same time.
struct Shares {
  static constexpr int ofThread = 4;
  std::int64_t pieces;
  int threads;

  int count() const { return threads > 1 ? threads * ofThread : 1; }

  /// The first piece of a share, which ends where the next one begins.
  std::int64_t first(int share) const {
    if (threads < 2) return share * pieces;
    constexpr int starts[ofThread] = {0, 4, 6, 7};  // in eighths of a thread's run
    return pieces * (8 * (share / ofThread) + starts[share % ofThread]) / (8 * threads);
  }
};

/// The shares of `pieces` indivisible pieces and `work` multiplications on up to `threads` threads, or on fewer: see
/// `usefulParts`.
Shares usefulShares(std::int64_t pieces, std::int64_t work, int threads);

/// Calls `body(context, thread, share)` for every share, each on one of `shares.threads` threads, and waits for all.
///
/// The pool is that of the OpenMP library already in the process, which libtorch's operators use: a second pool would compete
/// with it for the cores. Without such a library, and while other processes use the cores, `Workers` take part.
void forEachShare(const Shares &shares, void (*body)(void *context, int thread, int share), void *context);

/// The memory that a job over a range reads: the range's indices are rows of tables, one table after another.
struct RowsRead {
  struct Table {
    const char *values, *scales;
    std::int64_t rows, stride, scaleStride;
  };
  static constexpr int maximumTables = 4;
  std::int64_t count = 0;  ///< rows of all tables, including those that exceed `maximumTables`
  int tableCount = 0;
  Table tables[maximumTables];
};

/// Calls `body(context, thread, first, last)` for ranges that make up 0..<count, on up to `threads` threads, and waits for
/// all. Each thread works through its own part from the beginning, at least `piece` at a time; a thread that has finished
/// takes half of another's rest, because cores differ in speed. For work whose results do not depend on the split. `rows`
/// are the rows that the job reads, if they are to be prefetched.
void forEachRange(
    std::int64_t count, std::int64_t piece, int threads,
    void (*body)(void *context, int thread, std::int64_t first, std::int64_t last), void *context,
    const RowsRead *rows = nullptr);

/// Gives the calling thread a team of up to `threads` - 1 workers until `endWorkerTeam`: the functions above then start a
/// job on them at less cost than on OpenMP's pool, and between jobs the workers prefetch what the next one reads. OpenMP's
/// regions on this thread have one thread meanwhile.
///
/// False, and no team, where `threads` is less than 2, within a team or an OpenMP region, and while another thread has the
/// workers: jobs then run as they do without a team, and `endWorkerTeam` must not be called.
bool beginWorkerTeam(int threads);
void endWorkerTeam();

/// The threads that the calling thread's team was begun with; 0 without a team.
int workerTeamThreads();

/// The number of parts for a job of `pieces` indivisible pieces and `work` multiplications: at most `threads`, and fewer
/// where a part would end before a thread has woken for it.
int usefulParts(std::int64_t pieces, std::int64_t work, int threads);

}  // namespace ckernels
