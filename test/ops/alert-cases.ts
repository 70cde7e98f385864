// For each alert series that make it fire and series that look much like them and do not, one value a minute
// (promtool's notation: start+stepxcount).

export interface AlertCase {
  /** Series that make it fire, and the labels that it then has besides its own. */
  firing: Record<string, string>;
  labels?: Record<string, string>;
  /** What of the above is different where it must not fire; each alone keeps it quiet. */
  quiet: Record<string, string>[];
}

const hour = 'x60';
const bucket = (le: string) => `ocr_stage_duration_seconds_bucket{stage="infer",model="rec",le="${le}"}`;
const onCuda = 'ocr_model_info{model="rec",version="1",provider="cuda"}';
const dead = (reason: string) => `ocr_dead_letters_total{reason="${reason}"}`;
const ended = (outcome: string) => `ocr_job_duration_seconds_count{outcome="${outcome}"}`;

export const alertCases: Record<string, AlertCase> = {
  GlyphmillOldestJobTooOld: {
    firing: {
      'ocr_oldest_waiting_age_seconds{queue="documents"}': `901+0${hour}`,
      'ocr_queue_paused{queue="documents"}': `0+0${hour}`,
    },
    quiet: [
      { 'ocr_oldest_waiting_age_seconds{queue="documents"}': `899+0${hour}` },
      { 'ocr_queue_paused{queue="documents"}': `1+0${hour}` },
    ],
  },
  GlyphmillBacklogGrowing: {
    firing: {
      'ocr_backlog_pages{queue="documents"}': `100+10${hour}`,
      'ocr_desired_replicas{queue="documents"}': `9+0${hour}`,
      'ocr_workers{queue="documents"}': `4+0${hour}`,
    },
    quiet: [
      { 'ocr_backlog_pages{queue="documents"}': `9000-10${hour}` },
      { 'ocr_workers{queue="documents"}': `9+0${hour}` },
    ],
  },
  GlyphmillNoWorkers: {
    firing: {
      'ocr_workers{queue="documents"}': `0+0${hour}`,
      'ocr_backlog_seconds{queue="documents"}': `5+0${hour}`,
    },
    quiet: [
      { 'ocr_workers{queue="documents"}': `1+0${hour}` },
      { 'ocr_backlog_seconds{queue="documents"}': `0+0${hour}` },
    ],
  },
  GlyphmillQueuePaused: {
    firing: {
      'ocr_queue_paused{queue="documents"}': `1+0x90`,
      'ocr_queue_paused{queue="deliveries"}': `0+0x90`,
    },
    labels: { queue: 'documents' },
    quiet: [{ 'ocr_queue_paused{queue="documents"}': '1+0x50 0+0x40' }],
  },
  GlyphmillRefusingJobs: {
    firing: { 'ocr_admission_refused_total{reason="depth"}': `0+3${hour}` },
    labels: { reason: 'depth' },
    quiet: [
      { 'ocr_admission_refused_total{reason="depth"}': `7+0${hour}` },
      {
        'ocr_admission_refused_total{reason="depth"}': '_',
        'ocr_admission_refused_total{reason="quota-jobs"}': `0+3${hour}`,
      },
    ],
  },
  GlyphmillScalingSignalAbsent: {
    firing: { up: `1+0${hour}` },
    quiet: [{ 'ocr_backlog_seconds{queue="documents"}': `0+0${hour}` }],
  },
  GlyphmillManyJobsFail: {
    firing: { [ended('failed')]: `0+1${hour}`, [ended('succeeded')]: `0+9${hour}` },
    quiet: [
      { [ended('succeeded')]: `0+30${hour}` },
      // One of one, an hour ago and again just now: too few to say anything.
      { [ended('failed')]: '0+0x40 1+0x20', [ended('succeeded')]: `0+0${hour}` },
    ],
  },
  GlyphmillDeadLetters: {
    firing: { [dead('internal')]: '0+0x45 1+0x15' },
    labels: { reason: 'internal' },
    quiet: [
      { [dead('internal')]: `4+0${hour}` },
      { [dead('internal')]: '_', [dead('corrupt-document')]: '0+0x45 1+0x15' },
    ],
  },
  GlyphmillInferenceSlow: {
    firing: {
      [bucket('0.1')]: `0+90${hour}`,
      [bucket('0.25')]: `0+100${hour}`,
      [bucket('+Inf')]: `0+100${hour}`,
      [onCuda]: `1+0${hour}`,
    },
    labels: { model: 'rec' },
    quiet: [
      { [bucket('0.1')]: `0+100${hour}` },
      // On the CPU that is as it should be.
      { [onCuda]: '_', 'ocr_model_info{model="rec",version="1",provider="cpu"}': `1+0${hour}` },
    ],
  },
  GlyphmillLowBatchFill: {
    firing: {
      'ocr_batch_fill_ratio_sum{model="rec"}': `0+2${hour}`,
      'ocr_batch_fill_ratio_count{model="rec"}': `0+10${hour}`,
      'ocr_workers{queue="documents"}': `3+0${hour}`,
      'ocr_queue_jobs{state="waiting"}': `50+0${hour}`,
    },
    labels: { model: 'rec' },
    quiet: [
      { 'ocr_batch_fill_ratio_sum{model="rec"}': `0+4${hour}` },
      { 'ocr_workers{queue="documents"}': `1+0${hour}` },
      { 'ocr_queue_jobs{state="waiting"}': `0+0${hour}` },
    ],
  },
  GlyphmillMixedProviders: {
    firing: {
      [onCuda]: `1+0${hour}`,
      'ocr_model_info{model="rec",version="1",provider="cpu",instance="b"}': `1+0${hour}`,
    },
    labels: { model: 'rec' },
    quiet: [{ [onCuda]: '_' }],
  },
  GlyphmillModelDoesNotLoad: {
    firing: {
      'ocr_model_problems{model="rec"}': '0+0x30 1+0x30',
      'ocr_model_problems{model="det"}': `0+0${hour}`,
    },
    labels: { model: 'rec' },
    quiet: [{ 'ocr_model_problems{model="rec"}': '0+0x52 1+0x8' }],
  },
  GlyphmillWebhookBacklog: {
    firing: {
      'ocr_webhook_oldest_age_seconds{queue="deliveries"}': `301+0${hour}`,
      'ocr_queue_paused{queue="deliveries"}': `0+0${hour}`,
    },
    quiet: [
      { 'ocr_webhook_oldest_age_seconds{queue="deliveries"}': `299+0${hour}` },
      { 'ocr_queue_paused{queue="deliveries"}': `1+0${hour}` },
    ],
  },
};
