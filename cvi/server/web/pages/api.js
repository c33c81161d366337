/** The few requests of the REST interface that the playground makes. */

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api {
  constructor() {
    this.key = "";
    this._base = new URL("v2", document.baseURI).href;
  }

  personas() {
    return this._list("personas");
  }

  /** The persona that this server begins with; null where there is none. */
  usual() {
    return this._request("GET", "personas/guide").catch(() => null);
  }

  persona(id) {
    return this._request("GET", `personas/${encodeURIComponent(id)}`);
  }

  personaSchema() {
    return this._request("GET", "personas/schema");
  }

  /** What is wrong in a persona's document: `{errors, findings: [{severity, field, message, remedy}]}`. */
  checkPersona(document) {
    return this._request("POST", "personas/check", document);
  }

  createPersona(document) {
    return this._request("POST", "personas", document);
  }

  changePersona(id, patch) {
    return this._request("PATCH", `personas/${encodeURIComponent(id)}`, patch);
  }

  deletePersona(id) {
    return this._request("DELETE", `personas/${encodeURIComponent(id)}`);
  }

  /** A stored set of objectives, with `data`. */
  objectives(id) {
    return this._request("GET", `objectives/${encodeURIComponent(id)}`);
  }

  /** A conversation with its events. */
  conversation(id) {
    return this._request("GET", `conversations/${encodeURIComponent(id)}?verbose=true`);
  }

  /** A conversation's recording, as a Blob. */
  async film(id) {
    const headers = this.key ? { "x-api-key": this.key } : {};
    const response = await fetch(`${this._base}/conversations/${encodeURIComponent(id)}/recording`, { headers });
    if (!response.ok) throw new ApiError(response.status, "The recording is not there.");
    return response.blob();
  }

  replicas() {
    return this._list("replicas");
  }

  documents() {
    return this._list("documents");
  }

  /** Have a document read: `{document_url, document_name}`. */
  createDocument(document) {
    return this._request("POST", "documents", document);
  }

  create(request) {
    return this._request("POST", "conversations", request);
  }

  end(conversationId) {
    return this._request("POST", `conversations/${encodeURIComponent(conversationId)}/end`);
  }

  async _list(what) {
    const { data } = await this._request("GET", `${what}?limit=100`);
    return data;
  }

  async _request(method, path, body) {
    const headers = { accept: "application/json" };
    if (this.key) headers["x-api-key"] = this.key;
    if (body) headers["content-type"] = "application/json";
    let response;
    try {
      response = await fetch(`${this._base}/${path}`, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new ApiError(0, "The server cannot be reached. Is it still running?");
    }
    const answer = await response.json().catch(() => null);
    if (!response.ok) {
      throw new ApiError(response.status, answer?.message ?? answer?.error ?? `The server answered ${response.status}.`);
    }
    return answer;
  }
}
