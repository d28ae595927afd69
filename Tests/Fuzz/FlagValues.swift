/// Critical values of flags, by kind.
enum FlagValues {
  static let numbers = [
    "0", "-1", "1", "2", "3", "-0", "+1", " 1", "", "0.5", "1.0", "1e3", "0x10", "1_000", "1,000", "½", "١٢", "１２",
    "nan",
    "-nan", "inf", "-inf", "Infinity", "1e-19", "4.9e-324", "1e-308", "1e308", "1e400", "-1e308", "3.5e38", "63", "64",
    "65", "1024", "1025", "65536", "1048576", "16777216", "16777217", "1073741824", "2147483648", "4294967296",
    "1099511627776", "9007199254740993", "\(Int.max)", "\(Int.max - 1)", "\(Int.min)", "9223372036854775808",
    "18446744073709551615", "18446744073709551616", String(repeating: "9", count: 400),
    "0" + String(repeating: "0", count: 400),
  ]

  static let paths = [
    "tokenizer", "chat-tokenizer", "tokenizer/tokenizer.json", "tokens", "chat", "wide", "wide/best", "plain",
    "plain/best", "adapters/best", "quantized", "shards", "verified", "text.txt", "chat.jsonl", "batch.jsonl",
    "blank.txt", "wide.yaml", "plain.yaml", "wide/recipe.yaml", "config.json", "empty", "missing", "missing/deep/out",
    "out", "zero", "loop", "loop/x", "broken", "", ".", "..", "./out/", "text.txt/x", "empty/../out", "out.html",
    "wide/checkpoints/step-00000001", "é", "e\u{301}", "a b", "-x", "out\u{1B}[31m", "a=b",
    String(repeating: "x", count: 300), String(repeating: "y/", count: 3000),
  ]

  static let words = [
    "int4", "int8", "bfloat16", "float16", "float32", "float64", "select", "sum", "cpu", "cuda", "cuda:-1", "cpu:0",
    "cuda:99999999999999999999", "mps", "composed", "fused", "direct", "prediction", "10KB", "1B", "0B", "-5MB", "KB",
    "1.5GB", "9223372036854775807GB", "99999999999999999999", "1,2,3,4,6", "1,,2", ",", "0,1", "2:3", "3:2", "0:0",
    "1:1025", ":", "2:3:4", "-1:3", "١:٢", "100Gb/s", "100GB/s", "1e3Mb/s", "989TFLOP/s", "nanGFLOP/s",
  ]

  static let texts = [
    "", " ", "\n", "\u{1B}[2J", "\u{0007}\r\n", "é", "e\u{301}", "<|endoftext|>", "<|im_start|>user", "--", "-",
    "--help",
    "-h", "--version", "@text.txt", "$HOME", "%s%n", "'", "\"", "\u{FFFD}", "\u{10FFFF}", "\u{202E}abc", "name=",
    "=wide",
    "a=b=c", "help", "1 2 3", "1\t300\n2", "-1 5", "999999999999", String(repeating: "word ", count: 400),
    String(repeating: "a", count: 100_000), String(repeating: "é", count: 50_000),
  ]

  static let flags = [
    "--size", "--output", "--chat", "--tokenizer", "--validation-fraction", "--seed", "--recipe", "--data", "--from",
    "--set", "--resume", "--dashboard", "--device", "--threads", "--kernels", "--model", "--length", "--rows",
    "--tokens", "--cycle",
    "--untuned", "--encoding-layers", "--decoding-layers", "--gate", "--quantize", "--json", "--prompt",
    "--prompt-file",
    "--batch", "--max-tokens", "--temperature", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--stop",
    "--draft", "--stats", "--no-cache", "--key-value-cache", "--dtype", "--system", "--no-thinking", "--machine",
    "--config", "--shard-size", "--scheme", "--steps", "--activation-checkpointing", "--hidden-size", "--widths",
    "--unaligned", "--runs", "--processes", "--master-port", "--grace", "--nodes", "--gpus", "--bandwidth",
    "--line-efficiency", "--memory", "--peak", "--utilization", "--jobs", "--report-only", "--help", "--version", "--",
    "-h", "--unknown",
    "--set=",
    "--x" + String(repeating: "x", count: 5000),
  ]

  private static let keys = [
    "training", "training.steps", "training.sequence_length", "training.tokens_per_step", "training.rows_per_batch",
    "training.seed", "training.trained_weights",
    "training.activation_checkpointing", "initial_values.embedding", "initial_values.linear",
    "initial_values.reduce", "initial_values.expand", "optimizer.learning_rate", "optimizer.connection_rate.carry",
    "optimizer.memory_rate", "optimizer.embedding_rate", "model.ngram_memory.rows", "model.ngram_memory.orders",
    "initial_values.read", "initial_values.memory",
    "optimizer.beta1", "optimizer.beta2", "optimizer.epsilon", "optimizer.weight_decay", "optimizer.clip",
    "schedule.kind", "schedule.warmup_steps", "schedule.floor", "schedule.decay_fraction", "validation.interval",
    "validation.tokens", "checkpoint.interval", "checkpoint.keep", "sample.interval", "sample.prompt", "sample.tokens",
    "model", "model.hidden_size", "model.num_hidden_layers", "model.num_attention_heads", "model.num_key_value_heads",
    "model.head_dim", "model.intermediate_size", "model.max_position_embeddings", "model.vocab_size",
    "model.rms_norm_eps", "model.rope_theta", "model.virtual_width", "model.virtual_width.fraction_rate",
    "model.virtual_width.slots", "model.virtual_width.connections", "model.num_experts", "model.tie_word_embeddings",
    "lora", "lora.rank", "lora.alpha", "lora.targets", "direct_decoding", "direct_decoding.cycle", "data", "from", "x",
    "model.", ".", "", "training.steps.x", "é", "[0]",
  ]

  /// A random value of `--set`.
  static func setting(_ random: inout Randomness) -> String {
    let value = random.once(in: 2) ? random.pick(TextMutation.words) : random.pick(numbers)
    return random.pick(keys) + (random.once(in: 20) ? "" : "=") + value
  }

  static func any(_ random: inout Randomness) -> String {
    switch random.below(5) {
    case 0: random.pick(numbers)
    case 1: random.pick(paths)
    case 2: random.pick(words)
    case 3: random.pick(texts)
    default: setting(&random)
    }
  }

  /// A replacement of a flag's value.
  static func replacement(for value: String, of flag: String, _ random: inout Randomness) -> String {
    if random.once(in: 5) { return any(&random) }
    if flag == "--set" { return setting(&random) }
    if Double(value) != nil { return random.pick(random.once(in: 3) ? ["0", "1", "2", "3", "8"] : numbers) }
    if paths.contains(value) { return random.pick(paths) }
    if words.contains(value) { return random.pick(words) }
    return any(&random)
  }
}
