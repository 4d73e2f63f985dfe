// The packages have no types of their own. Only what is used is told of.
declare module 'mailauth/lib/dkim/verify.js' {
  export interface DkimResult {
    id: string;
    signingDomain: string;
    selector: string;
    /** As in the signature: `rsa-sha256`. */
    algo?: string;
    status: { result: string; aligned?: string | false; underSized?: number | false };
    /** Whether the signature covers only the beginning of the body. */
    canonBodyLengthLimited?: boolean;
  }
  export function dkimVerify(
    raw: Buffer,
    options: { resolver: (name: string, type: string) => Promise<unknown>; minBitLength?: number },
  ): Promise<{ headerFrom?: string[]; results?: DkimResult[] }>;
}
declare module 'mailauth/lib/dmarc/verify.js' {
  export default function verifyDmarc(options: {
    headerFrom: string[];
    spfDomains: { domain: string }[];
    dkimDomains: { id: string; domain: string; aligned?: string | false; underSized?: number | false }[];
    resolver: (name: string, type: string) => Promise<unknown>;
  }): Promise<false | { status: { result: string }; alignment?: { dkim: { strict: boolean } } }>;
}
