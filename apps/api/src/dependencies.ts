import type { EndpointStore } from '@glyphmill/queue/endpoint-store';
import type { JobStore } from '@glyphmill/queue/job-store';
import type { AddressGuard } from '@glyphmill/service/address-guard';
import type { ApiKeyEntry } from '@glyphmill/service/api-key';
import type { Readiness } from '@glyphmill/service/health';
import type { Logger } from '@glyphmill/service/logger';
import type { Tracing } from '@glyphmill/service/tracing';
import type { ObjectStore } from '@glyphmill/storage/object-store';
import type {
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ApiConfig } from './config.ts';
import type { ApiMetrics } from './metrics.ts';

/** What the routes work with; whoever opened it closes it. */
export interface Dependencies {
  config: ApiConfig;
  jobs: JobStore;
  endpoints: EndpointStore;
  objects: ObjectStore;
  /** The keys valid now, by id. */
  keys: () => ReadonlyMap<string, ApiKeyEntry>;
  guard: AddressGuard;
  metrics: ApiMetrics;
  tracing: Tracing;
  log: Logger;
  readiness: () => Promise<Readiness>;
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  Logger,
  ZodTypeProvider
>;
