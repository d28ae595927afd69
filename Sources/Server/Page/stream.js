// Requests to the server, and its answers as a stream.

/** An error that the server reported, in a response or in the middle of a stream. */
export class ServerError extends Error {
  constructor(message, status = 0, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Sends a request, a POST if there is a body; throws `ServerError` for any status but success. */
export async function request(path, { key, body, signal } = {}) {
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key}`;
  if (/[^\x20-\x7e]/.test(key ?? '')) throw new ServerError('The API key has a character that no key can have.', 401);
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch(path, {
    method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal, cache: 'no-store',
  });
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  let message = `HTTP ${response.status} ${response.statusText}`.trim();
  try { message = JSON.parse(text).error.message || message; } catch { /* A proxy answers in its own form. */ }
  throw new ServerError(message, response.status, seconds(response.headers.get('Retry-After')));
}

/** The seconds of a Retry-After header, which has a number or a date; null for neither. */
function seconds(header) {
  if (!header) return null;
  const value = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return value >= 0 ? value : null;
}

/** The chunks of a streamed chat completion. Throws `ServerError`, also for a stream that ends without `[DONE]`. */
export async function* streamChat(body, key, signal) {
  const response = await request('v1/chat/completions', { key, body, signal });
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return;
    let chunk;
    try { chunk = JSON.parse(data); } catch { throw new ServerError('The server sent an event that is not JSON.'); }
    if (chunk.error) throw new ServerError(chunk.error.message ?? String(chunk.error));
    yield chunk;
  }
  throw new ServerError('The connection ended before the answer was complete.');
}

/** The `data` of server-sent events. Comments, as in `: keep-alive`, and other fields are skipped. */
async function* eventData(bytes) {
  // The decoder keeps the first bytes of a character whose last bytes are in the next chunk.
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // A line ends with CR LF, LF or CR. A CR at the end of a chunk may be the first half of a CR LF.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
        if (line || !data.length) continue;
        yield data.join('\n');
        data = [];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
