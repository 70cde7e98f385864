import {
  type Context,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { tracingSettings } from './common-settings.ts';
import type { Config } from './config.ts';

/** Where a span belongs, in the form of W3C Trace Context, as it travels in headers and in records. */
export type Traceparent = string;

export interface SpanStart {
  name: string;
  kind?: 'server' | 'producer' | 'consumer' | 'client' | 'internal';
  /** Null begins a trace. */
  parent: Traceparent | null;
  /** Milliseconds since 1970; now unless given. */
  startMs?: number;
  /** Facts of the work, never of what a document says. */
  attributes?: Record<string, string | number | boolean>;
  /** Spans that this one has to do with though it is none of their children. */
  links?: readonly Traceparent[];
}

export interface SpanEnd {
  endMs?: number;
  attributes?: Record<string, string | number | boolean>;
  /** A code; what it says of a document or a receiver is for the log. */
  error?: string;
}

export interface OpenSpan {
  /** For children of this span; the parent's while tracing is off. */
  readonly traceparent: Traceparent | null;
  end(end?: SpanEnd): void;
}

/** Spans of one process. While tracing is off every method does nothing, and hands on what it was given. */
export interface Tracing {
  readonly isOn: boolean;
  begin(span: SpanStart): OpenSpan;
  /** Sends what is left, for a moment at most. Never throws. */
  close(): Promise<void>;
}

/** How long spans are gathered before they are sent, and how many may wait; more are dropped. */
const sendEveryMs = 1000;
const maxWaiting = 4096;
const sendTimeoutMs = 3000;
/** Less than any process keeps back of its time to shut down. */
const closeMs = 1500;

const off: Tracing = {
  isOn: false,
  begin: ({ parent }) => ({ traceparent: parent, end: () => {} }),
  close: async () => {},
};

const kinds = {
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const;

/** Sends spans to the collector that the settings name; without one tracing is off and costs nothing. */
export function openTracing(config: Config<typeof tracingSettings>, service: string): Tracing {
  if (config.otlpEndpoint === undefined) return off;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': `glyphmill-${service}` }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.tracesShare) }),
    spanProcessors: [
      new BatchSpanProcessor(
        new OTLPTraceExporter({
          url: `${config.otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
          headers: Object.fromEntries(config.otlpHeaders),
          timeoutMillis: sendTimeoutMs,
        }),
        { scheduledDelayMillis: sendEveryMs, maxQueueSize: maxWaiting },
      ),
    ],
  });
  const tracer = provider.getTracer('glyphmill');
  return {
    isOn: true,
    begin({ name, kind = 'internal', parent, startMs = preciseNowMs(), attributes = {}, links = [] }) {
      const linked = links.flatMap((link) => contextOf(link) ?? []).map((context) => ({ context }));
      const span = tracer.startSpan(
        name,
        { kind: kinds[kind], startTime: startMs, attributes, links: linked },
        childContext(parent),
      );
      return {
        traceparent: traceparentOf(span.spanContext()),
        end({ endMs = preciseNowMs(), attributes: more, error } = {}) {
          if (more !== undefined) span.setAttributes(more);
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
          span.end(endMs);
        },
      };
    },
    close: () =>
      Promise.race([
        provider.shutdown().catch(() => {}),
        new Promise<void>((resolve) => setTimeout(resolve, closeMs).unref()),
      ]),
  };
}

/** What a caller sent as its traceparent, if it is one (W3C Trace Context, section 3.2). */
export function parseTraceparent(header: string | string[] | undefined): Traceparent | null {
  return typeof header === 'string' && contextOf(header) !== undefined ? header : null;
}

/** The id by which a trace is looked up; undefined where there is none. */
export function traceIdOf(traceparent: Traceparent | null | undefined): string | undefined {
  return contextOf(traceparent)?.traceId;
}

/** Milliseconds since 1970 with fractions, by a clock that does not jump. */
export function preciseNowMs(): number {
  return performance.timeOrigin + performance.now();
}

const pattern =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\w-]*)?$/;

function contextOf(traceparent: Traceparent | null | undefined): SpanContext | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > 256) return undefined;
  const [, traceId, spanId, flags] = pattern.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

function childContext(parent: Traceparent | null): Context {
  const context = contextOf(parent);
  return context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): Traceparent {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
