/**
 * Which network addresses a fetch may reach. A model's source may be written by somebody who does
 * not own this machine, so loopback, link-local, private and reserved ranges are closed unless the
 * owner opened them. The check sits in the lookup of the connection itself: a name that resolves
 * differently a moment later cannot slip through.
 */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPublicAddress } from '../../lib/network/publicAddress.ts';

/** `error.code` of a connection that was refused by the guard. */
export const addressNotAllowedCode = 'XIM_ADDRESS_NOT_ALLOWED';

export class AddressNotAllowedError extends Error {
  readonly code = addressNotAllowedCode;

  constructor(hostname: string) {
    super(`${hostname} leads to an address that is not public`);
    this.name = 'AddressNotAllowedError';
  }
}

/** A `lookup` for connections that fails where any of the addresses is not public. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  const wanted: LookupOptions = { ...options, all: true };
  systemLookup(hostname, wanted, (error, found) => {
    const addresses = found as LookupAddress[];
    const first = error === null ? addresses[0] : undefined;
    if (error !== null || first === undefined) {
      callback(error ?? new AddressNotAllowedError(hostname), '', 0);
      return;
    }
    if (!addresses.every(({ address }) => isPublicAddress(address))) {
      callback(new AddressNotAllowedError(hostname), '', 0);
      return;
    }
    if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
