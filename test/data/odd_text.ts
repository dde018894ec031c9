/** Every script, runs of white space, contractions, and what Unicode added late. */
export const odd =
  "I'll  we've\tthey're\n\n\n  don't 'S o'clock ''s 's\u00a0x \u3000y\u2028z 漢字かな交じり文 12½³ ٣٤ e\u0301 नमस्ते 👩‍👩‍👧 \u{1f9ff}" +
  ' ǅ ⅷ ª \u088f\u0c5c\u{10940} !?… a_b --- \u0085q   end  ';
