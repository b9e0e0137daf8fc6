/** What customers ask of a support desk, and what they are told. */

/** `#` in a text is a number of the ticket's own. */
export interface Talk {
  readonly subject: string;
  readonly customer: string;
  readonly priority: "LOW" | "NORMAL" | "HIGH" | "URGENT";
  /** In order: who says what; `assign`: an agent takes it; `wait`: it waits for the customer; `go on`: it does not any more. */
  readonly lines: readonly Line[];
}
type Line = readonly [by: "customer" | "agent", text: string] | "assign" | "wait" | "go on";

export const TALKS: readonly Talk[] = [
  {
    ...{ subject: "Order O-# has not arrived", customer: "lena.brandt", priority: "NORMAL" },
    lines: [
      ["customer", "Hello, the tracking of order O-# has said “out for delivery” since Monday. Where is it?"],
      "assign",
      [
        "agent",
        "Hello Lena, I am sorry about that. I have asked the carrier and will be back within the hour.",
      ],
      ["agent", "It went to the depot in the next town by mistake. They bring it tomorrow before noon."],
      ["customer", "Tomorrow is fine, thank you for looking into it so quickly."],
    ],
  },
  {
    ...{ subject: "Invoice INV-# was charged twice", customer: "omar.haddad", priority: "HIGH" },
    lines: [
      ["customer", "My bank shows two charges for INV-#, both of today. Please return one of them."],
      "assign",
      [
        "agent",
        "I see both. The first payment timed out on our side and was sent again; that must not happen.",
      ],
      ["agent", "The second charge is refunded now. Banks take two to three days to show it."],
      "wait",
      ["customer", "It is there already. Thanks!"],
      "go on",
    ],
  },
  {
    ...{ subject: "Cannot sign in after changing my phone", customer: "yuki.tanaka", priority: "NORMAL" },
    lines: [
      ["customer", "New phone, and the authenticator app is empty. I have no recovery codes left. What now?"],
      "assign",
      ["agent", "We can reset it once we know it is you. Which four digits does your last invoice end with?"],
      "wait",
      ["customer", "It ends with #."],
      "go on",
      ["agent", "That is right. Two-factor sign-in is off until you set it up again:\nProfile → Security."],
      ["customer", "I am in, and it is set up again."],
    ],
  },
  {
    ...{ subject: "Export stops at 10,000 rows", customer: "sofia.rossi", priority: "LOW" },
    lines: [
      ["customer", "The CSV export of job j-# ends at 10,000 rows, the table says 48,211. Is that a limit?"],
      "assign",
      ["agent", "It is, for exports from the page. Exports to a bucket have none; shall I switch it on?"],
      ["customer", "Yes please, the same bucket as for the backups."],
      ["agent", "Done. Tonight’s run has all rows."],
    ],
  },
  {
    ...{
      subject: "Webhook deliveries are late since this morning",
      customer: "dev@hooli",
      priority: "URGENT",
    },
    lines: [
      ["customer", "Since about 08:00 our webhooks come 4 to 6 minutes late. We bill by them."],
      "assign",
      ["agent", "Confirmed. One of our senders was stuck on a slow receiver; it is restarted now."],
      ["customer", "Down to 2 seconds here. What keeps it from happening again?"],
      [
        "agent",
        "Slow receivers now have a queue of their own, so they hold up nobody else. The report follows by mail.",
      ],
      ["customer", "Good. You can close this one."],
    ],
  },
  {
    ...{ subject: "Wrong size delivered, order O-#", customer: "pedro.alves", priority: "NORMAL" },
    lines: [
      ["customer", "I ordered the jacket in M and got L. Can I change it without paying for the way back?"],
      "assign",
      ["agent", "Of course, it was our mistake. The label for the way back is in your mail."],
      "wait",
      ["customer", "I dropped it at the post office, receipt #."],
      "go on",
      ["agent", "Thank you, the M leaves our warehouse today."],
    ],
  },
  {
    ...{
      subject: "Please add our VAT number to the invoices",
      customer: "accounts@initech",
      priority: "LOW",
    },
    lines: [
      ["customer", "Our auditor wants our VAT number on every invoice of this year."],
      "assign",
      ["agent", "Added. New invoices carry it; shall I print those of this year again?"],
      ["customer", "Yes, all of them please."],
      ["agent", "They are in your archive, the old ones are marked as replaced."],
    ],
  },
  {
    ...{ subject: "Video stays at “processing”", customer: "amara.diallo", priority: "HIGH" },
    lines: [
      ["customer", "m-# has been processing for three hours. The event begins at 17:00!"],
      "assign",
      [
        "agent",
        "Its sound track has a rate that our transcoder refuses. I am converting it by hand right now.",
      ],
      ["agent", "It plays. The subtitles follow in a few minutes."],
      ["customer", "You saved our evening. Thank you!"],
    ],
  },
];
