'use strict';

/* What a client is told. */
exports.Refusal = class extends Error {
  constructor(status, code, text) {
    super(text);
    Object.assign(this, { status, code });
  }
};
