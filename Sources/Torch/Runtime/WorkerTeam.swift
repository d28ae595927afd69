import WidebandCTorch

/// Runs `body` with a worker team for the CPU kernels: kernels of a few positions start faster, and between kernels the
/// workers prefetch the next weights. Operators of libtorch have one thread meanwhile.
///
/// Within another team, or while another thread has the workers, `body` runs without a team of its own.
///
/// - Throws: what `body` throws.
public func withWorkerTeam<Result>(_ body: () throws -> Result) throws -> Result {
  let hasTeam = wb_worker_team_begin()
  defer { if hasTeam { wb_worker_team_end() } }
  return try body()
}
