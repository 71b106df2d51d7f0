// Questions to the dashboard, and to Airflow's own API with the person's own session.

import { base } from "./surroundings.js";

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function answer(response) {
  const body = await response.json().catch(() => undefined);
  if (!response.ok) {
    const detail = typeof body?.detail === "string" ? body.detail : body?.detail?.reason ?? response.statusText;
    throw new Refused(response.status, detail);
  }
  if (body === undefined) throw new Refused(0, "Airflow's answer broke off");
  return body;
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(base + path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "Airflow does not answer");
  }
  return answer(response);
}

export const ours = (path, query = {}) => ask(`/model-dashboard/api/${path}?${new URLSearchParams(query)}`);
export const airflow = (path) => ask(`/api/v2/${path}`);

const NAMED = /[^A-Za-z0-9_.~:-]/g;
// Of what was asked; Airflow takes 250 in all.
const MOST_CHARACTERS = 180;

// What was asked for again is the same run: its id says all of `asked`, and `once`, on which occasion. A run of that id
// that was asked for something else, or that failed, is not that one.
export async function trigger(dagId, asked, once, reason) {
  const name = `dashboard~${Object.values(asked).join("~").slice(0, MOST_CHARACTERS)}~${once}`.replace(NAMED, "-");
  for (let again = 1; ; again += 1) {
    const runId = again === 1 ? name : `${name}~${again}`;
    try {
      const run = await post(`dags/${dagId}/dagRuns`, { dag_run_id: runId, logical_date: null, conf: { ...asked, reason }, note: reason });
      return { run, before: null };
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 409 || again > 50) throw error;
    }
    const run = await airflow(`dags/${dagId}/dagRuns/${encodeURIComponent(runId)}`);
    if (run.state !== "failed" && isSame(run.conf, asked)) return { run, before: run.triggering_user_name ?? "?" };
  }
}

const isSame = (conf, asked) => Object.entries(asked).every(([name, value]) => conf?.[name] === value);

const post = (path, body) =>
  ask(`/api/v2/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// The task of the run looks again. The pipeline writes a run's id without what its keys may not have.
export async function goOn(dagId, runId, task) {
  const { dag_runs: runs } = await airflow(`dags/${dagId}/dagRuns?limit=100&order_by=-run_after`);
  const found = runs.find((run) => run.dag_run_id.replace(/[:+]/g, "-") === runId);
  if (!found) return null;
  const about = { dry_run: false, dag_run_id: found.dag_run_id, task_ids: [task], include_downstream: true, only_failed: false };
  const { task_instances: cleared } = await post(`dags/${dagId}/clearTaskInstances`, { ...about, reset_dag_runs: true });
  // Airflow answers so of a task that the run does not have, too.
  if (cleared.length === 0) throw new Refused(0, `the run has no task ${task}`);
  return found;
}
