extension ChatTemplate {
  /// The tokens that ``chatML`` needs: the start and the end of a turn.
  public static let requiredTokens = ["<|im_start|>", "<|im_end|>"]

  /// Renders as Qwen3's own template does, tools included, and marks what a model generates.
  ///
  /// Thoughts are written for the answers after the user's last question, and removed from earlier answers. If the last
  /// message is an answer without a thought, it gets an empty one.
  static let chatMLSource = #"""
    {%- set start, end = '<|im_start|>', '<|im_end|>\n' %}
    {%- set messages_after_system = messages %}
    {%- if messages and messages[0].role == 'system' %}
      {%- set system, messages_after_system = messages[0].content, messages[1:] %}
    {%- endif %}
    {%- if tools %}
      {{- start ~ 'system\n' }}
      {%- if system is defined %}{{ system ~ '\n\n' }}{% endif %}
      {{- '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' }}
      {{- 'You are provided with function signatures within <tools></tools> XML tags:\n<tools>' }}
      {%- for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}
      {{- '\n</tools>\n\nFor each function call, return a json object with function name and arguments within ' }}
      {{- '<tool_call></tool_call> XML tags:\n<tool_call>\n' }}
      {{- '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>' ~ end }}
    {%- elif system is defined %}
      {{- start ~ 'system\n' ~ system ~ end }}
    {%- endif %}
    {#- The last question of the user: answers before it lose their thoughts. #}
    {%- set last = namespace(question=messages_after_system | length - 1) %}
    {%- for message in messages_after_system %}
      {%- if message.role == 'user' and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set last.question = loop.index0 %}
      {%- endif %}
    {%- endfor %}
    {%- for message in messages_after_system %}
      {%- set content = message.content if message.content is string else '' %}
      {%- if message.role == 'assistant' %}
        {%- if message.reasoning_content is string %}
          {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
          {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
          {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- else %}
          {%- set thought = '' %}
        {%- endif %}
        {{- start ~ 'assistant\n' }}
        {%- set shows_thought = loop.index0 > last.question and (loop.last or thought) %}
        {%- if shows_thought and not thought %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
        {%- generation %}
          {%- if shows_thought and thought %}{{ '<think>\n' ~ thought.strip('\n') ~ '\n</think>\n\n' }}{% endif %}
          {{- content.lstrip('\n') if shows_thought else content }}
          {%- for call in message.tool_calls or [] %}
            {%- set function = call.function or call %}
            {%- if content or not loop.first %}{{ '\n' }}{% endif %}
            {{- '<tool_call>\n{"name": "' ~ function.name ~ '", "arguments": ' }}
            {{- function.arguments if function.arguments is string else function.arguments | tojson }}
            {{- '}\n</tool_call>' }}
          {%- endfor %}
          {{- '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\n' }}
      {%- elif message.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}{{ start ~ 'user' }}{% endif %}
        {{- '\n<tool_response>\n' ~ content ~ '\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{ end }}{% endif %}
      {%- else %}
        {{- start ~ message.role ~ '\n' ~ content ~ end }}
      {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
      {{- start ~ 'assistant\n' }}
      {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
    {%- endif %}
    """#
}
