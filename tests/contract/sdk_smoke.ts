/**
 * The API through a TypeScript client: types generated from docs/openapi.json, requests by openapi-fetch. An example of
 * its use, and a test of both.
 *
 *     npx openapi-typescript docs/openapi.json --enum --conditional-enums -o schema.ts
 *     node sdk_smoke.js http://127.0.0.1:8000
 *
 * What is undefined is left out, and null clears: that difference is what a merge patch lives on.
 */
import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import { ListSort, TaskSort, TokenScope, type components, type paths } from "./schema.js";

type Task = components["schemas"]["Task"];
type Api = ReturnType<typeof createClient<paths>>;

const password = "correct horse battery";
const mergePatch = { "Content-Type": "application/merge-patch+json" };
const url = process.argv[2];
const anonymous = createClient<paths>({ baseUrl: url });

/** Make a client that sends the access token. */
function signedIn(tokens: components["schemas"]["Tokens"]): Api {
  return createClient<paths>({
    baseUrl: url,
    headers: { Authorization: `${tokens.token_type} ${tokens.access_token}` },
  });
}

/** Create a task. With an id of our own, the request can safely be sent again. */
async function created(api: Api): Promise<Task> {
  const body = {
    id: randomUUID(),
    title: "Pay rent",
    notes: "The landlord changed banks",
    tags: ["home"],
    due: { date: "2026-12-01", time: "09:30", timezone: "Europe/Berlin" },
  };
  const first = await api.POST("/v1/tasks", { body });
  const again = await api.POST("/v1/tasks", { body });
  assert.deepEqual([first.response.status, again.response.status], [201, 200]);
  assert(first.data);
  assert.deepEqual(again.data, first.data);
  assert.equal(first.response.headers.get("Location"), `/v1/tasks/${first.data.id}`);
  assert.equal(first.data.status, "open");
  assert.equal(first.data.priority, "none");
  return first.data;
}

/** Set one member to null, leave the others out. */
async function patched(api: Api, task: Task): Promise<void> {
  const path = { task_id: task.id };
  const cleared = await api.PATCH("/v1/tasks/{task_id}", {
    params: { path, header: { "If-Match": task.etag } },
    headers: mergePatch,
    body: { notes: null, title: undefined },
  });
  assert(cleared.data);
  assert.equal(cleared.data.notes, null);
  assert.deepEqual([cleared.data.title, cleared.data.due], [task.title, task.due]);

  const allDay = await api.PATCH("/v1/tasks/{task_id}", {
    params: { path },
    headers: mergePatch,
    body: { due: { time: null, timezone: null } },
  });
  assert(allDay.data?.due);
  assert.deepEqual([allDay.data.due.date, allDay.data.due.time], ["2026-12-01", null]);

  const stale = await api.PATCH("/v1/tasks/{task_id}", {
    params: { path, header: { "If-Match": task.etag } },
    headers: mergePatch,
    body: { title: "Pay the rent" },
  });
  assert(stale.error);
  assert.deepEqual([stale.error.code, stale.error.current_etag], ["precondition_failed", allDay.data.etag]);
}

/** Read page after page until there is no next cursor. */
async function* openTasks(api: Api): AsyncGenerator<Task> {
  let cursor: string | undefined;
  do {
    const { data } = await api.GET("/v1/tasks", {
      params: { query: { status: ["open"], sort: TaskSort.TITLE, limit: 2, cursor } },
    });
    assert(data);
    yield* data.items;
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
}

/** Complete a task, twice: the second time there is nothing to write down. */
async function completed(api: Api, task: Task): Promise<void> {
  const path = { task_id: task.id };
  const done = await api.POST("/v1/tasks/{task_id}/complete", { params: { path }, body: { outcome: "completed" } });
  assert.equal(done.data?.task.status, "completed");
  assert.equal(done.data?.completion?.task_id, task.id);
  const again = await api.POST("/v1/tasks/{task_id}/complete", { params: { path } });
  assert(again.data);
  assert.equal(again.data.completion, null);
}

/** Read problems: decide by the code, and find the place. */
async function refused(api: Api): Promise<void> {
  const missing = await api.GET("/v1/tasks/{task_id}", { params: { path: { task_id: randomUUID() } } });
  assert.deepEqual([missing.error?.status, missing.error?.code], [404, "not_found"]);

  const invalid = await api.POST("/v1/tasks", { body: { title: "" } });
  assert.equal(invalid.error?.code, "validation_error");
  assert.deepEqual(invalid.error?.errors?.map((error) => [error.pointer, error.code]), [["#/title", "too_short"]]);
}

assert.deepEqual([TaskSort.DUE_DESC, ListSort.NAME_DESC, TokenScope.TASKS_READ], ["-due", "-name", "tasks:read"]);

const email = `ada-${randomUUID().slice(0, 8)}@example.com`;
const registered = await anonymous.POST("/v1/auth/register", { body: { email, password } });
assert.equal(registered.data?.user.display_name, null);

const loggedIn = await anonymous.POST("/v1/auth/login", { body: { email, password, device_name: "smoke test" } });
assert(loggedIn.data);
let api = signedIn(loggedIn.data.tokens);

const task = await created(api);
await patched(api, task);
for (let number = 0; number < 4; number++) await api.POST("/v1/tasks", { body: { title: `Task ${number}` } });
const titles: string[] = [];
for await (const { title } of openTasks(api)) titles.push(title);
assert.deepEqual(titles, ["Pay rent", "Task 0", "Task 1", "Task 2", "Task 3"]);
await completed(api, task);
await refused(api);

const { refresh_token } = loggedIn.data.tokens;
const refreshed = await anonymous.POST("/v1/auth/refresh", { body: { refresh_token } });
assert(refreshed.data);
api = signedIn(refreshed.data.tokens);
assert((await api.GET("/v1/tasks/{task_id}", { params: { path: { task_id: task.id } } })).data);

assert.equal((await api.POST("/v1/auth/logout")).response.status, 204);
const ended = await api.GET("/v1/tasks/{task_id}", { params: { path: { task_id: task.id } } });
assert.equal(ended.error?.code, "invalid_token");
