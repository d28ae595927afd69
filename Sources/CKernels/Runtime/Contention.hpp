// Whether other processes compete for the cores that this process's threads spin on.
#pragma once

namespace ckernels {

/// Whether the threads of this process recently had to wait for cores because other processes run on them.
///
/// OpenMP's threads spin on their cores while they wait for one another, which is fastest without competition. With it, they
/// spin away their share of a core while the thread that they wait for gets none; so they are made to sleep instead for as
/// long as cores are shared.
bool areCoresShared();

/// The decision of `areCoresShared`, from samples of how long the threads of a process waited for cores, in fractions of one
/// thread's time. With another busy process on one of two cores that is 0.5 to 1, without one 0.01.
class CoreSharing {
 public:
  /// Adds a sample; returns whether cores are shared. The mean is exponential, because other processes run briefly all the
  /// time, and the threshold has hysteresis.
  bool add(double waited) {
    constexpr double weight = 0.15, upper = 0.3, lower = 0.1;
    mean += weight * (waited - mean);
    areShared = mean > (areShared ? lower : upper);
    return areShared;
  }

 private:
  double mean = 0;
  bool areShared = false;
};

}  // namespace ckernels
