// The server's HTTP API: models, chat completions as a stream, "answer now", session files.

const KEY = "minireason.key";
const GONE = "The server does not answer; is minireason serve still running?";
const CUT = "The connection ended before the reply was complete.";

/** What went wrong, in one sentence for the reader; `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** The data of each server-sent event of a body, as text; comments are left out. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        else if (line === "" && data.length) {
          yield data.join("\n");
          data = [];
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops reading ends the request
  }
}

export class Api {
  constructor() {
    this.key = sessionStorage.getItem(KEY) ?? "";
  }

  /** Send this key with every request from now on. */
  useKey(key) {
    this.key = key;
    sessionStorage.setItem(KEY, key);
  }

  /** The models of the server: `{id, thinks, n_ctx, loaded}`. */
  async models() {
    const { data } = await this.#json("v1/models");
    return data.map(({ id, minireason = {} }) => ({ id, thinks: true, ...minireason }));
  }

  /** The chunks of a chat completion as they come; aborting `signal` ends the reply. */
  async *chat(body, signal) {
    const response = await this.#request("v1/chat/completions", { method: "POST", body, signal });
    try {
      for await (const data of events(response.body)) {
        if (data === "[DONE]") return;
        const chunk = parsed(data);
        if (chunk.error) throw new ApiError(sentence(chunk.error));
        yield chunk;
      }
    } catch (error) {
      if (error instanceof ApiError || signal.aborted) throw error;
      throw new ApiError(CUT);
    }
    throw new ApiError(CUT);
  }

  /** End the thought of a running reply; gives whether there was one to end. */
  async answerNow(id) {
    const body = { id, action: "reasoning_end" };
    const path = "v1/chat/completions/control";
    return (await this.#json(path, { method: "POST", body })).success;
  }

  /** The names of the session files, or null where the server keeps none. */
  async sessions() {
    try {
      const listed = await this.#json("sessions");
      return Array.isArray(listed) ? listed : (listed.sessions ?? listed.data ?? []);
    } catch (error) {
      if (error.status >= 400) return null;
      throw error;
    }
  }

  session(name) {
    return this.#json(`sessions/${encodeURIComponent(name)}`);
  }

  async putSession(name, body, keepalive = false) {
    const options = { method: "PUT", body, keepalive };
    await this.#request(`sessions/${encodeURIComponent(name)}`, options);
  }

  async deleteSession(name) {
    await this.#request(`sessions/${encodeURIComponent(name)}`, { method: "DELETE" });
  }

  async #json(path, options) {
    const response = await this.#request(path, options);
    return parsed(await response.text());
  }

  async #request(path, { method = "GET", body, signal, keepalive } = {}) {
    const headers = {};
    if (body) headers["Content-Type"] = "application/json";
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    const options = { method, headers, signal, keepalive, cache: "no-store" };
    if (body) options.body = JSON.stringify(body);
    let response;
    try {
      response = await fetch(new URL(path, document.baseURI), options);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(GONE);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("The server sent something that is no JSON.");
  }
}

async function refusal(response) {
  const fallback = `The server refused with status ${response.status}.`;
  try {
    const body = JSON.parse(await response.text());
    return new ApiError(sentence(body.error ?? body) || fallback, response.status);
  } catch {
    return new ApiError(fallback, response.status);
  }
}

function sentence(error) {
  return typeof error === "string" ? error : String(error.message ?? "The server failed.");
}
