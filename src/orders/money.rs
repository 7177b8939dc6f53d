//! Money: integer minor units, shares in basis points, rounded half up, once; and amounts as people write them.
//!
//! Pure. A share is computed from the whole amount in one step; sums of rounded parts are never taken, so nothing
//! drifts.

use crate::payments;

/// The whole, in basis points.
pub const WHOLE_BP: u32 = 10_000;

/// `bp` ten-thousandths of `amount` minor units, rounded half up; never more than `amount`, never less than 0.
pub fn share(amount: i64, bp: u32) -> i64 {
    let amount = i128::from(amount.max(0));
    let share = (amount * i128::from(bp.min(WHOLE_BP)) + i128::from(WHOLE_BP / 2)) / i128::from(WHOLE_BP);
    i64::try_from(share.min(amount)).unwrap_or(i64::MAX)
}

/// What is owed of `captured` at `bp`, after `refunded` has been refunded already. 0 if nothing is.
pub fn owed(captured: i64, bp: u32, refunded: i64) -> i64 {
    (share(captured, bp) - refunded.max(0)).max(0)
}

/// The sum of `price × quantity`; `None` when it does not fit.
pub fn total(lines: impl IntoIterator<Item = (i64, i64)>) -> Option<i64> {
    lines.into_iter().try_fold(0_i64, |sum, (price, quantity)| sum.checked_add(price.checked_mul(quantity)?))
}

/// An amount for people, with the decimals of its currency: `12.50 EUR`, `1250 JPY`, `1.250 KWD`.
pub fn format_amount(minor: i64, currency: &str) -> String {
    let decimals = payments::decimals(currency).unwrap_or(2);
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, minor) = (minor.unsigned_abs() / 10_u64.pow(decimals), minor.unsigned_abs() % 10_u64.pow(decimals));
    match decimals {
        0 => format!("{sign}{whole} {currency}"),
        _ => format!("{sign}{whole}.{minor:0width$} {currency}", width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let cases = [
            (1250, "EUR", "12.50 EUR"),
            (5, "USD", "0.05 USD"),
            (-1005, "EUR", "-10.05 EUR"),
            (1250, "JPY", "1250 JPY"),
            (-7, "jpy", "-7 jpy"),
            (1250, "KWD", "1.250 KWD"),
            (5, "BHD", "0.005 BHD"),
            (i64::MIN, "EUR", "-92233720368547758.08 EUR"),
        ];
        for (minor, currency, text) in cases {
            assert_eq!(format_amount(minor, currency), text);
        }
    }

    #[test]
    fn halves_are_rounded_up_and_less_is_rounded_down() {
        assert_eq!(share(1005, 7000), 704); // 703.5
        assert_eq!(share(1001, 7000), 701); // 700.7
        assert_eq!(share(1, 4000), 0); // 0.4
        assert_eq!(share(1, 5000), 1); // 0.5
        assert_eq!(share(i64::MAX, WHOLE_BP), i64::MAX);
        assert_eq!(share(-5, WHOLE_BP), 0);
    }

    #[test]
    fn a_total_that_does_not_fit_is_none() {
        assert_eq!(total([(250, 2), (100, 3)]), Some(800));
        assert_eq!(total([(i64::MAX, 2)]), None);
        assert_eq!(total([(i64::MAX, 1), (1, 1)]), None);
    }

    proptest! {
        #[test]
        fn a_share_is_exact_to_half_a_unit(amount in 0..i64::MAX, bp in 0..=WHOLE_BP) {
            let exact = i128::from(amount) * i128::from(bp);
            let off = i128::from(share(amount, bp)) * i128::from(WHOLE_BP) - exact;
            prop_assert!(off > -5_000 && off <= 5_000);
        }

        #[test]
        fn refunds_never_exceed_the_capture(
            captured in 0..i64::MAX, shares in prop::collection::vec(0..=20_000_u32, 0..8),
        ) {
            let back = shares.iter().fold(0, |back, bp| back + owed(captured, *bp, back));
            prop_assert!(back <= captured);
        }
    }
}
