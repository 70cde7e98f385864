import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from 'glyphmill-cli/free-ports';
import { stringify } from 'yaml';
import { z } from 'zod';
import { until } from '../integration/queue-setup.ts';
import { alertsFile } from './alert-rules.ts';

const queryAnswerSchema = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(z.unknown()) }),
});
const rulesAnswerSchema = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() })),
      }),
    ),
  }),
});

export interface PrometheusServer {
  /** How many series or values an expression has now. Throws where it is none. */
  count(expression: string): Promise<number>;
  /** The rules with what Prometheus says of their evaluation. */
  rules(): Promise<{ name: string; health: string; lastError?: string | undefined }[]>;
  stop(): Promise<void>;
}

/** A Prometheus on a free port that scrapes these targets every second and evaluates our alerts. */
export async function startPrometheus(
  program: string,
  targets: Record<string, string>,
): Promise<PrometheusServer> {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-prometheus-'));
  const [port = 0] = await freePorts(1);
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [alertsFile],
    scrape_configs: Object.entries(targets).map(([name, url]) => ({
      job_name: name,
      static_configs: [{ targets: [new URL(url).host] }],
    })),
  };
  await writeFile(join(dir, 'prometheus.yml'), stringify(config));
  const server = spawn(
    program,
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: 'ignore' },
  );
  const gone = once(server, 'exit');
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).json();
  const stop = async () => {
    server.kill('SIGTERM');
    await gone;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await until(
      'Prometheus is ready',
      () =>
        fetch(`http://127.0.0.1:${port}/-/ready`)
          .then(({ ok }) => ok)
          .catch(() => false),
      30_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    async count(expression) {
      const answer: unknown = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      const parsed = queryAnswerSchema.safeParse(answer);
      if (!parsed.success) throw new Error(`${expression}: ${JSON.stringify(answer)}`);
      return parsed.data.data.result.length;
    },
    async rules() {
      return rulesAnswerSchema.parse(await get('/api/v1/rules')).data.groups.flatMap(({ rules }) => rules);
    },
    stop,
  };
}
