import Wideband
import WidebandCheckedInput
import WidebandServer

extension TrainCommand {
  /// Calls `body`, which trains and returns whether the run is finished. If `--dashboard` is given, a page shows the run
  /// meanwhile.
  func showing(_ trainer: Trainer, in directory: RunDirectory, _ body: () throws -> Bool) throws -> Bool {
    guard let dashboard else { return try body() }
    let server = DashboardServer(dashboardRun(trainer, directory))
    let port = try finishing { try await server.start(port: dashboard) }
    StandardError.line("dashboard: http://\(DashboardServer.host):\(port)")
    do {
      let isFinished = try body()
      try finishing { await server.stop(isFinished ? .finished : .stopped) }
      return isFinished
    } catch {
      let sentence = Failure.sentence(error)
      try finishing { await server.stop(.failed(sentence)) }
      throw error
    }
  }

  private func dashboardRun(_ trainer: Trainer, _ directory: RunDirectory) -> DashboardRun {
    let recipe = trainer.recipe, training = trainer.recipe.training
    var rows: [(key: String, value: String)] = [("folder", printable(path: fileURL(directory.path).path))]
    if let file = self.recipe { rows.append(("recipe", printable(path: file))) }
    if let data = recipe.data { rows.append(("data", printable(path: data))) }
    if let from = recipe.from { rows.append(("starts from", printable(path: from))) }
    rows += [
      ("device", "\(machine.device)"), ("parameters", "\(ModelCost(recipe.model, contextLength: 1).parameters)"),
    ]
    if let adapters = trainer.model.weights.adapters {
      rows.append(("parameters of adapters", "\(adapters.weights.parameterCount)"))
    }
    rows += recipe.model.rows
    rows += [("sequence length", "\(training.sequenceLength)"), ("tokens a step", "\(training.tokensPerStep)")]
    return DashboardRun(
      name: printable(fileURL(directory.path).standardizedFileURL.lastPathComponent),
      metricsPath: directory.metricsPath, logPath: directory.logPath, steps: training.steps,
      tokensPerStep: training.tokensPerStep, rows: rows)
  }
}
