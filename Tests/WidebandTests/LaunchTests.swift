import Foundation
import TestSupport
import Testing

@testable import WidebandCLI

/// `wideband launch` with commands that exist for one process.
struct LaunchTests {
  private let workspace: Workspace

  init() throws { workspace = try .shared() }

  @Test("a rank has torchrun's variables, a share of the threads, and none of an outer launcher")
  func environment() {
    func variables(_ inherited: [String: String], rank: Int = 2) -> [String: String] {
      LaunchEnvironment(processes: 3, masterPort: 5000, threads: 8, inherited: inherited).variables(ofRank: rank)
    }
    let plain = variables(["HOME": "/home", "SLURM_PROCID": "7", "TORCHELASTIC_USE_AGENT_STORE": "True"])
    #expect(
      plain == [
        "HOME": "/home", "RANK": "2", "WORLD_SIZE": "3", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "3",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "5000", "OMP_NUM_THREADS": "2", "WIDEBAND_LAUNCHED": "1",
      ])
    #expect(variables(["OMP_NUM_THREADS": "5"])["OMP_NUM_THREADS"] == "5")
    let many = LaunchEnvironment(processes: 9, masterPort: 1, threads: 8, inherited: [:])
    #expect(many.variables(ofRank: 0)["OMP_NUM_THREADS"] == "1")
  }

  @Test("a free port is a port") func port() throws { #expect((1...65_535).contains(try freeLocalPort())) }

  @Test("the output of rank 0 is shown once") func output() throws {
    let one = try Executable.run("info", workspace("recipe.yaml")).succeeding()
    let three = try Executable.run("launch", "--processes", "3", "--", "info", workspace("recipe.yaml")).succeeding()
    #expect(three.output == one.output)
    #expect(three.errors == "")
  }

  @Test("the status of the first process that failed is that of launch, and each reason is told once")
  func failure() throws {
    let result = try Executable.run("launch", "--processes", "2", "--", "info", workspace("missing"))
    #expect(result.status == 1 && result.output == "")
    let sentence = "Error: \(workspace("missing")): there is no such file or folder"
    #expect(result.errors.contains(sentence))
    #expect(result.errors.contains("launch: rank "))
  }

  @Test("an error of rank 0 alone is shown, and nothing else counts as lost") func errorOfRankZero() throws {
    let result = try Executable.run(
      "launch", "--processes", "2", "--", "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"),
      "--output", workspace("run"), "--set", "training.rows_per_batch=1")
    #expect(result.status == 1, "\(result.errors)")
    #expect(result.errors.contains("Error: \(workspace("run")): holds a run already; continue it with --resume"))
    #expect(!result.errors.contains("lost"))
  }

  @Test(
    "bad input is one error, before anything is started",
    arguments: [
      ("launch --processes 0 -- info x", 64, "--processes is 0: expected from 1 to 1024"),
      (
        "launch --processes 2", 64,
        "no command: expected one after --, as in: wideband launch --processes 2 -- train …"
      ),
      ("launch --processes 2 --master-port 70000 -- info x", 64, "--master-port is 70000: expected from 1 to 65535"),
      ("launch --processes 2 --grace=-1 -- info x", 64, "--grace is -1: expected from 0 to 86400"),
      ("launch --processes 2 -- trane", 64, "Unexpected argument 'trane'"),
      (
        "launch --processes 2 -- launch --processes 2 -- info x", 1,
        "the command is launch: expected one that is not launch itself"
      ),
    ])
  func badInput(line: String, status: Int, sentence: String) throws {
    let result = try Executable.run(line.split(separator: " ").map(String.init))
    expectError(result, sentence, status: Int32(status))
  }

  @Test("a signal to launch ends all processes; none remains after kill -9 either", arguments: [SIGTERM, SIGKILL])
  func noProcessRemains(signal: Int32) throws {
    let launch = try Executable.start(
      "launch", "--processes", "2", "--", "serve", "--model", workspace.model, "--port", "0")
    let identifier = launch.process.processIdentifier
    // Rank 0 tells when it listens.
    let deadline = Date(timeIntervalSinceNow: 60)
    while !launch.errors.contains("listening"), launch.process.isRunning, Date() < deadline { usleep(20_000) }
    #expect(launch.errors.contains("listening"))
    let children = ProcessTable.children(of: identifier)
    #expect(children.count == 2)
    kill(identifier, signal)
    let result = try launch.wait()
    // Rank 1 may not listen yet, and is ended by the signal then.
    #expect((signal == SIGKILL ? [-SIGKILL] : [0, 128 + SIGTERM]).contains(result.status), "\(result.errors)")
    while children.contains(where: ProcessTable.isRunning), Date() < deadline { usleep(20_000) }
    #expect(!children.contains(where: ProcessTable.isRunning))
  }
}
