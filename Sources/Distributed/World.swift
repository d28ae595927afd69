import WidebandCheckedInput

/// The processes of a distributed run, its ranks, as one of them sees them.
public struct World: Sendable, Equatable {
  /// Where the ranks meet.
  public struct Master: Sendable, Equatable {
    /// The name or address of the host that serves the store.
    public let host: String
    /// The TCP port of the store.
    public let port: Int
    /// Whether the launcher serves the store. Otherwise rank 0 does.
    public let isServedByLauncher: Bool

    init(host: String, port: Int, isServedByLauncher: Bool = false) {
      self.host = host
      self.port = port
      self.isServedByLauncher = isServedByLauncher
    }
  }

  /// What flags say about the world; nil for what none says.
  public struct Flags: Sendable {
    /// `--rank`.
    public var rank: Int?
    /// `--world-size`.
    public var worldSize: Int?
    /// `--master`, as `HOST:PORT`.
    public var master: String?

    /// The given flags.
    public init(rank: Int? = nil, worldSize: Int? = nil, master: String? = nil) {
      self.rank = rank
      self.worldSize = worldSize
      self.master = master
    }
  }

  /// The number of this process, from 0.
  public let rank: Int
  /// The number of processes.
  public let size: Int
  /// The number of this process among those of its host, from 0.
  public let localRank: Int
  /// The number of processes on this host.
  public let localSize: Int
  /// Where the ranks meet; nil for one process.
  public let master: Master?
  /// How long to wait for ranks that have not arrived.
  public var startTimeout: Duration = .seconds(300)
  /// How long a collective operation may take. It includes the work of ranks that come to it later than others.
  public var timeout: Duration = .seconds(100)

  /// One process.
  public static let single = World(rank: 0, size: 1, localRank: 0, localSize: 1, master: nil)

  init(rank: Int, size: Int, localRank: Int, localSize: Int, master: Master?) {
    self.rank = rank
    self.size = size
    self.localRank = localRank
    self.localSize = localSize
    self.master = size > 1 ? master : nil
  }

  /// The world that flags describe; without flags the variables of torchrun, and without these the variables of Slurm;
  /// otherwise one process.
  ///
  /// - Parameter environment: the variables by name.
  /// - Throws: `DistributedError.wrongWorld` that names the first flag or variable that is wrong.
  public init(environment: [String: String], flags: Flags = Flags()) throws {
    let variables = Variables(environment)
    self =
      try World(flags: flags) ?? World(torchrun: variables) ?? World(slurm: variables) ?? .single
    for (flag, value, variable) in [("--rank", flags.rank, "RANK"), ("--world-size", flags.worldSize, "WORLD_SIZE")] {
      guard let value, let other = environment[variable], other != "\(value)" else { continue }
      throw DistributedError.wrongWorld(
        "\(flag) is \(value), and the variable \(variable) \(quoted(other)): expected the same, or one of them")
    }
  }

  /// Nil without flags.
  private init?(flags: Flags) throws {
    guard flags.rank != nil || flags.worldSize != nil || flags.master != nil else { return nil }
    guard let size = flags.worldSize, let rank = flags.rank else {
      let (set, missing) =
        flags.worldSize == nil
        ? (flags.rank == nil ? "--master" : "--rank", "--world-size")
        : ("--world-size", "--rank")
      throw DistributedError.wrongWorld("\(set) is given without \(missing)")
    }
    guard Self.sizes.contains(size) else {
      throw DistributedError.wrongWorld(
        "--world-size is \(size): expected an integer from 1 to \(Self.sizes.upperBound)")
    }
    guard (0..<size).contains(rank) else {
      throw DistributedError.wrongWorld("--rank is \(rank): expected an integer from 0 to \(size - 1)")
    }
    let master = try flags.master.map(Self.master(fromFlag:))
    guard size == 1 || master != nil else {
      throw DistributedError.wrongWorld("--world-size is \(size): expected --master HOST:PORT with it")
    }
    self.init(rank: rank, size: size, localRank: 0, localSize: 1, master: master)
  }

  private static func master(fromFlag text: String) throws -> Master {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let host = parts.dropLast().joined(separator: ":")
    // An IPv6 address is in brackets.
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    guard let port = parts.last.flatMap({ Int($0) }), Self.ports.contains(port), isBracketed || parts.count == 2,
      host.count > (isBracketed ? 2 : 0)
    else {
      throw DistributedError.wrongWorld("--master is \(quoted(text)): expected HOST:PORT with a port from 1 to 65535")
    }
    return Master(host: isBracketed ? String(host.dropFirst().dropLast()) : host, port: port)
  }

  /// Nil without a variable of torchrun.
  private init?(torchrun variables: Variables) throws {
    guard let size = try variables.integer("WORLD_SIZE", in: Self.sizes, with: "RANK") else { return nil }
    let rank = try variables.required("RANK", in: 0...size - 1, with: "WORLD_SIZE")
    let localSize = try variables.integer("LOCAL_WORLD_SIZE", in: 1...size, with: "LOCAL_RANK") ?? 1
    let localRank =
      localSize == 1 && variables["LOCAL_RANK"] == nil
      ? 0 : try variables.required("LOCAL_RANK", in: 0...localSize - 1, with: "LOCAL_WORLD_SIZE")
    guard size > 1 else {
      self = .single
      return
    }
    self.init(
      rank: rank, size: size, localRank: localRank, localSize: localSize,
      master: Master(
        host: try variables.text("MASTER_ADDR", with: "WORLD_SIZE"),
        port: try variables.required("MASTER_PORT", in: Self.ports, with: "WORLD_SIZE"),
        isServedByLauncher: variables["TORCHELASTIC_USE_AGENT_STORE"] == "True"))
  }

  /// How many ranks there may be.
  static let sizes = 1...65536
  /// TCP ports that can be named.
  static let ports = 1...65535
}
