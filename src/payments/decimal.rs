//! Amounts as decimal strings, exactly: `10.00` EUR is 1000, `10` JPY is 10, `1.250` KWD is 1250.
//!
//! Nothing is guessed: a currency that is not listed here, and an amount with more or fewer decimals than its currency has, is
//! no amount.

/// Currencies by the decimals of their minor unit (ISO 4217).
const CURRENCIES: &[(u32, &str)] = &[
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP \
         CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
         JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN \
         NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP \
         SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// How many decimals a currency has; none for one that is not known.
pub fn decimals(currency: &str) -> Option<u32> {
    let lists = |codes: &str| codes.split(' ').any(|code| code.eq_ignore_ascii_case(currency));
    CURRENCIES.iter().find(|(_, codes)| lists(codes)).map(|(decimals, _)| *decimals)
}

/// Minor units as a decimal string.
pub(crate) fn to_decimal(minor: i64, currency: &str) -> Option<String> {
    let minor = u64::try_from(minor).ok()?;
    let decimals = decimals(currency)?;
    let unit = 10_u64.pow(decimals);
    Some(match decimals {
        0 => minor.to_string(),
        _ => format!("{}.{:0width$}", minor / unit, minor % unit, width = decimals as usize),
    })
}

/// A decimal string as minor units.
pub(crate) fn from_decimal(text: &str, currency: &str) -> Option<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !whole.is_empty() && (whole == "0" || !whole.starts_with('0')) && !text.ends_with('.');
    if !plain || !is_number(whole) || !is_number(rest) || rest.len() != decimals(currency)? as usize {
        return None;
    }
    format!("{whole}{rest}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (minor, currency, text) in [
            (1000, "EUR", "10.00"),
            (5, "usd", "0.05"),
            (10, "JPY", "10"),
            (1250, "KWD", "1.250"),
            (1, "CLF", "0.0001"),
        ] {
            assert_eq!(to_decimal(minor, currency).as_deref(), Some(text));
            assert_eq!(from_decimal(text, currency), Some(minor));
        }
    }

    #[test]
    fn what_is_not_exact_is_no_amount() {
        for text in
            ["", "10", "10.0", "10.000", "10.", ".10", "-1.00", "+1.00", "1,00", "1e2", "01.00", " 1.00", "10.0a"]
        {
            assert_eq!(from_decimal(text, "EUR"), None, "{text}");
        }
        assert_eq!(from_decimal("92233720368547758.08", "EUR"), None, "beyond i64");
        assert_eq!(from_decimal("10.00", "JPY"), None);
        assert_eq!(from_decimal("10.00", "KWD"), None);
        for unknown in ["ZZZ", "", "EURO", "€"] {
            assert_eq!((to_decimal(1000, unknown), from_decimal("10.00", unknown)), (None, None), "{unknown}");
        }
        assert_eq!(to_decimal(-1, "EUR"), None);
    }

    proptest! {
        #[test]
        fn an_amount_survives_both_ways(minor in 0..=i64::MAX, which in 0_usize..4) {
            let currency = ["EUR", "JPY", "KWD", "CLF"][which];
            let text = to_decimal(minor, currency).expect("known");
            prop_assert_eq!(from_decimal(&text, currency), Some(minor));
        }
    }
}
