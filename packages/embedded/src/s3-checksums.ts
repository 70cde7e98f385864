import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The algorithms of S3's additional checksums, as named in headers. */
export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

export interface Checksum {
  algorithm: ChecksumAlgorithm;
  /** Base64 of the big-endian value, `-N` added for a composite over N parts. */
  value: string;
  type: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface ChecksumState {
  update(bytes: Buffer): void;
  digest(): Buffer;
}

/** A running checksum. */
export function startChecksum(algorithm: ChecksumAlgorithm): ChecksumState {
  switch (algorithm) {
    case 'crc32':
      return startCrc32();
    case 'crc32c':
      return startCrc32c();
    case 'crc64nvme':
      return startCrc64Nvme();
    case 'sha1':
    case 'sha256': {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
  }
}

/** The algorithm a header value names, in any case. */
export function parseAlgorithm(name: string): ChecksumAlgorithm | undefined {
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name.toLowerCase());
}

function startCrc32(): ChecksumState {
  let value = 0;
  return {
    update: (bytes) => {
      value = crc32(bytes, value);
    },
    digest: () => uint32(value),
  };
}

/** Castagnoli polynomial, bits reversed (RFC 3720, appendix B.4). */
const CRC32C_POLYNOMIAL = 0x82f63b78;
const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? CRC32C_POLYNOMIAL : 0);
  return value;
});

function startCrc32c(): ChecksumState {
  let value = 0xffffffff;
  return {
    update: (bytes) => {
      for (const byte of bytes) value = (value >>> 8) ^ (CRC32C_TABLE[(value ^ byte) & 255] ?? 0);
    },
    digest: () => uint32(~value >>> 0),
  };
}

/** NVM Express polynomial, bits reversed, in two halves: BigInt would be some 50 times slower. */
const CRC64_POLYNOMIAL_HIGH = 0x9a6c9329;
const CRC64_POLYNOMIAL_LOW = 0xac4bc9b5;
const CRC64_HIGH = new Uint32Array(256);
const CRC64_LOW = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let [high, low] = [0, byte];
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (carry) [high, low] = [high ^ CRC64_POLYNOMIAL_HIGH, low ^ CRC64_POLYNOMIAL_LOW];
  }
  CRC64_HIGH[byte] = high;
  CRC64_LOW[byte] = low;
}

function startCrc64Nvme(): ChecksumState {
  let [high, low] = [-1, -1];
  return {
    update: (bytes) => {
      for (const byte of bytes) {
        const index = (low ^ byte) & 255;
        low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[index] ?? 0);
        high = (high >>> 8) ^ (CRC64_HIGH[index] ?? 0);
      }
    },
    digest: () => Buffer.concat([uint32(~high >>> 0), uint32(~low >>> 0)]),
  };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
