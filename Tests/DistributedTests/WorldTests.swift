import Testing

@testable import WidebandDistributed

/// Worlds of flags and of the variables of launchers.
@Suite struct WorldTests {
  private let torchrun = [
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node-a",
    "MASTER_PORT": "29500",
  ]
  private let slurm = [
    "SLURM_PROCID": "2", "SLURM_NTASKS": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "1", "SLURM_JOB_ID": "41234",
    "SLURM_STEP_NODELIST": "node[01-02]", "SLURM_STEP_TASKS_PER_NODE": "2,1",
  ]

  @Test("without flags and variables there is one process; so there is with a size of 1")
  func single() throws {
    #expect(try World(environment: [:]) == .single)
    #expect(try World(environment: ["MASTER_ADDR": "node-a", "RANK": ""]) == .single)
    #expect(try World(environment: ["RANK": "0", "WORLD_SIZE": "1"]) == .single)
    #expect(try World(environment: [:], flags: World.Flags(rank: 0, worldSize: 1)) == .single)
    #expect(World.single.startTimeout == .seconds(300) && World.single.timeout == .seconds(100))
  }

  @Test("the variables of torchrun")
  func environment_torchrun() throws {
    let world = try World(environment: torchrun)
    #expect((world.rank, world.size, world.localRank, world.localSize) == (3, 4, 1, 2))
    #expect(world.master == World.Master(host: "node-a", port: 29500))
    let served = try World(environment: torchrun.merging(["TORCHELASTIC_USE_AGENT_STORE": "True"]) { $1 })
    #expect(served.master == World.Master(host: "node-a", port: 29500, isServedByLauncher: true))
    let plain = try World(environment: ["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"])
    #expect((plain.localRank, plain.localSize) == (0, 1))
  }

  @Test("the variables of a task of srun")
  func environment_slurm() throws {
    let world = try World(environment: slurm)
    #expect((world.rank, world.size, world.localRank, world.localSize) == (2, 3, 0, 1))
    #expect(world.master == World.Master(host: "node01", port: 11234))
    let named = try World(environment: slurm.merging(["MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5"]) { $1 })
    #expect(named.master == World.Master(host: "10.0.0.1", port: 5))
    #expect(try World(environment: torchrun.merging(slurm) { $1 }).rank == 3)
  }

  @Test("an allocation for one task, and a shell that is no task, are one process")
  func environment_interactive() throws {
    #expect(try World(environment: slurm.merging(["SLURM_NTASKS": "1", "SLURM_PROCID": "0"]) { $1 }) == .single)
    #expect(try World(environment: ["SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "a"]) == .single)
  }

  @Test(
    "the first host of a list of nodes",
    arguments: [
      ("node", "node"), ("node-a,node-b", "node-a"), ("node[01-03,7]", "node01"), ("node[7,01-03],login", "node7"),
      ("rack[2-3]node[04-05].site", "rack2node04.site"), ("", nil), (",a", nil), ("node[", nil), ("node[]", nil),
      ("node[a]", nil), ("node]1", nil),
    ] as [(String, String?)])
  func firstHost(list: String, host: String?) { #expect(World.firstHost(ofNodes: list) == host) }

  @Test("a flag and a variable that contradict each other are an error") func contradiction() throws {
    let environment = ["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"]
    func world(_ rank: Int, of size: Int) throws -> World {
      try World(environment: environment, flags: .init(rank: rank, worldSize: size, master: "b:2"))
    }
    #expect(try world(1, of: 2).master == World.Master(host: "b", port: 2))
    #expect(
      throws: DistributedError.wrongWorld(
        "--rank is 0, and the variable RANK '1': expected the same, or one of them")
    ) { try world(0, of: 2) }
    #expect(
      throws: DistributedError.wrongWorld(
        "--world-size is 4, and the variable WORLD_SIZE '2': expected the same, or one of them")
    ) { try world(1, of: 4) }
  }

  @Test("flags come before variables")
  func flags() throws {
    let world = try World(environment: torchrun, flags: World.Flags(rank: 3, worldSize: 4, master: "[::1]:7"))
    #expect((world.rank, world.size, world.localRank, world.localSize) == (3, 4, 0, 1))
    #expect(world.master == World.Master(host: "::1", port: 7))
  }

  @Test(
    "wrong flags",
    arguments: [
      (World.Flags(rank: 1), "--rank is given without --world-size"),
      (World.Flags(worldSize: 2), "--world-size is given without --rank"),
      (World.Flags(master: "a:1"), "--master is given without --world-size"),
      (World.Flags(rank: 0, worldSize: 0), "--world-size is 0: expected an integer from 1 to 65536"),
      (World.Flags(rank: 2, worldSize: 2, master: "a:1"), "--rank is 2: expected an integer from 0 to 1"),
      (World.Flags(rank: 0, worldSize: 2), "--world-size is 2: expected --master HOST:PORT with it"),
      (
        World.Flags(rank: 0, worldSize: 2, master: "a"),
        "--master is 'a': expected HOST:PORT with a port from 1 to 65535"
      ),
      (
        World.Flags(rank: 0, worldSize: 2, master: "a:65536"),
        "--master is 'a:65536': expected HOST:PORT with a port from 1 to 65535"
      ),
      (
        World.Flags(rank: 0, worldSize: 2, master: "::1:5"),
        "--master is '::1:5': expected HOST:PORT with a port from 1 to 65535"
      ),
      (
        World.Flags(rank: 0, worldSize: 2, master: ":5"),
        "--master is ':5': expected HOST:PORT with a port from 1 to 65535"
      ),
    ])
  func flags_wrong(flags: World.Flags, sentence: String) {
    #expect(throws: DistributedError.wrongWorld(sentence)) { try World(environment: [:], flags: flags) }
  }

  @Test(
    "wrong variables of torchrun; nil removes one",
    arguments: [
      (["RANK": "4"], "RANK is '4': expected an integer from 0 to 3"),
      (["RANK": "-1"], "RANK is '-1': expected an integer from 0 to 3"),
      (["RANK": nil], "WORLD_SIZE is '4': expected RANK to be set with it"),
      (["WORLD_SIZE": nil], "RANK is '3': expected WORLD_SIZE to be set with it"),
      (["WORLD_SIZE": "four"], "WORLD_SIZE is 'four': expected an integer from 1 to 65536"),
      (["LOCAL_RANK": "2"], "LOCAL_RANK is '2': expected an integer from 0 to 1"),
      (["LOCAL_WORLD_SIZE": "5"], "LOCAL_WORLD_SIZE is '5': expected an integer from 1 to 4"),
      (["LOCAL_WORLD_SIZE": nil], "LOCAL_RANK is '1': expected LOCAL_WORLD_SIZE to be set with it"),
      (["LOCAL_RANK": nil], "LOCAL_WORLD_SIZE is '2': expected LOCAL_RANK to be set with it"),
      (["MASTER_ADDR": nil], "WORLD_SIZE is '4': expected MASTER_ADDR to be set with it"),
      (["MASTER_PORT": nil], "WORLD_SIZE is '4': expected MASTER_PORT to be set with it"),
      (["MASTER_PORT": "0"], "MASTER_PORT is '0': expected an integer from 1 to 65535"),
    ] as [([String: String?], String)])
  func torchrun_wrong(changes: [String: String?], sentence: String) {
    expectError("the environment variable " + sentence, of: torchrun, with: changes)
  }

  @Test(
    "wrong variables of Slurm",
    arguments: [
      (["SLURM_PROCID": "3"], "SLURM_PROCID is '3': expected an integer from 0 to 2"),
      (["SLURM_NTASKS": "0"], "SLURM_NTASKS is '0': expected an integer from 1 to 65536"),
      (
        ["SLURM_STEP_NODELIST": nil],
        "SLURM_NTASKS is '3': expected the command to be started by srun, or SLURM_NTASKS to be unset"
      ),
      (["SLURM_STEP_NODELIST": "a["], "SLURM_STEP_NODELIST is 'a[': expected a list of nodes such as node[01-03,7]"),
      (["SLURM_JOB_ID": nil], "SLURM_NTASKS is '3': expected SLURM_JOB_ID to be set with it"),
      (["SLURM_LOCALID": "1"], "SLURM_LOCALID is '1': expected an integer from 0 to 0"),
      (
        ["SLURM_STEP_TASKS_PER_NODE": "2"],
        "SLURM_STEP_TASKS_PER_NODE is '2': expected the tasks of every node, such as 2(x3),1"
      ),
      (
        ["SLURM_STEP_TASKS_PER_NODE": "2(3)"],
        "SLURM_STEP_TASKS_PER_NODE is '2(3)': expected the tasks of every node, such as 2(x3),1"
      ),
    ] as [([String: String?], String)])
  func slurm_wrong(changes: [String: String?], sentence: String) {
    expectError("the environment variable " + sentence, of: slurm, with: changes)
  }

  private func expectError(_ sentence: String, of variables: [String: String], with changes: [String: String?]) {
    var variables = variables
    for (name, value) in changes { variables[name] = value }
    #expect(throws: DistributedError.wrongWorld(sentence)) { try World(environment: variables) }
  }
}
