// Whether other processes compete for the cores that this process's threads spin on.
#pragma once

namespace ckernels {

/// Whether the threads of this process recently had to wait for cores because other processes run on them.
///
/// OpenMP's threads spin while they wait for one another, which is fastest as long as each has a core. On shared cores they
/// take time from the thread that they wait for, so they are made to sleep instead.
bool areCoresContended();

/// The decision of `areCoresContended`. A sample is the time that the process's threads waited for cores, divided by the
/// elapsed time: 0.5 to 1 with another busy process on one of two cores, 0.01 without.
class ContentionDetector {
 public:
  /// Adds a sample; returns whether there is contention. The mean is exponential, because other processes run briefly all the
  /// time, and the threshold has hysteresis.
  bool add(double waited) {
    constexpr double weight = 0.15, upper = 0.3, lower = 0.1;
    mean += weight * (waited - mean);
    isContended = mean > (isContended ? lower : upper);
    return isContended;
  }

 private:
  double mean = 0;
  bool isContended = false;
};

}  // namespace ckernels
