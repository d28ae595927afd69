// Whether other processes want the cores that this one's threads wait on.
#pragma once

namespace ckernels {

/// Whether the threads of this process had to wait for cores in the last moments: others run on them.
///
/// OpenMP's threads keep their cores while they wait for one another, which is fastest where nobody else wants these. Where
/// somebody does, threads spin away their share of a core while the one that they wait for is not given any; then they are
/// made to sleep instead, until this is over.
bool areCoresShared();

/// What `areCoresShared` decides by: how long the threads of a process waited for cores, in shares of one thread's time,
/// look after look. Beside a busy process on one of two cores that is 0.5 to 1, by themselves 0.01.
class CoreSharing {
 public:
  /// Takes note of a look, and says whether cores are shared: for some time, for others run for a moment now and then.
  bool note(double share) {
    constexpr double weight = 0.15, much = 0.3, little = 0.1;
    mean += weight * (share - mean);
    areShared = mean > (areShared ? little : much);
    return areShared;
  }

 private:
  double mean = 0;
  bool areShared = false;
};

}  // namespace ckernels
